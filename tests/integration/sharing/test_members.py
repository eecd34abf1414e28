"""The accounts of a site: who may change which, what ends with a change, and that no administrator is lost."""

import threading

import pytest
from sqlalchemy import select

from sharing import epoch, links, members, policy, sessions, sites
from sharing.db.tables import AuditEventRow, MemberRow
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.vocabulary import Act, Action, LinkState, Purpose, Role

HASH = "$argon2id$invented"


def add(session, by, login="nouveau.caen", role=Role.TRAINEE, **more):
    return members.add(session, by, login=login, name="Nouvelle Personne", role=role, password_hash=HASH, **more)


def acts(session, member_id):
    return [
        row.act
        for row in session.scalars(select(AuditEventRow).order_by(AuditEventRow.position))
        if f'"{member_id}"' in row.entities
    ]


def test_an_administrator_sees_the_accounts_of_the_own_site_alone(database, centres):
    with database.writing() as session:
        seen = {person.login for person in members.list_members(session, centres.caen.administrator)}
        assert "pathologiste.caen" in seen
        assert all(login.endswith(".caen") for login in seen)
        with pytest.raises(NotFoundError):
            members.get_member(session, centres.caen.administrator, centres.rouen.pathologist.id)
        with pytest.raises(NotFoundError):
            members.close(session, centres.caen.administrator, centres.rouen.pathologist.id)


def test_nobody_else_administers(database, centres):
    others = (centres.caen.pathologist, centres.caen.lab_manager, centres.caen.protection_officer)
    with database.writing() as session:
        for member in others:
            with pytest.raises(RefusedError):
                members.list_members(session, member)
            with pytest.raises(RefusedError):
                add(session, member)
            with pytest.raises(RefusedError):
                members.change_role(session, member, centres.caen.trainee.id, Role.PATHOLOGIST)


def test_an_administrator_may_read_no_patients_data(database, centres):
    with database.reading() as session:
        case = session.get_one(policy.CaseRow, centres.caen.cases["26H01234"])
        for action in set(Action) - {Action.MANAGE_MEMBERS}:
            assert not policy.may(session, centres.caen.administrator, action, case).allowed, action


def test_a_first_password_that_nobody_used_in_time_is_on_record_once(database, centres, clock):
    boss = centres.caen.administrator

    def noted():
        with database.writing() as session:
            return members.note_run_out(session)

    with database.writing() as session:
        member_id, closed_id = add(session, boss), add(session, boss, "ferme.caen")
        members.close(session, boss, closed_id)
    assert noted() == 0
    clock.advance(hours=7 * 24)
    assert [noted(), noted()] == [1, 0]
    with database.writing() as session:
        assert acts(session, member_id) == [Act.MEMBER_ADDED, Act.PASSWORD_RAN_OUT]
        assert Act.PASSWORD_RAN_OUT not in acts(session, closed_id)
        assert members.get_member(session, boss, member_id).ran_out
        members.give_password(session, boss, member_id, HASH)
        assert not members.get_member(session, boss, member_id).ran_out
    assert noted() == 0
    clock.advance(hours=7 * 24)
    assert [noted(), noted()] == [1, 0], "another one, on record anew"


def test_a_new_account_has_a_password_that_holds_for_days(database, centres):
    with database.writing() as session:
        member_id = add(session, centres.caen.administrator, email="neuf@hopital.example", language="xx")
        [person] = [each for each in members.list_members(session, centres.caen.administrator) if each.id == member_id]
        assert (person.password_until_us, person.language) == (session.now_us + members.GIVEN_US, "fr")
        account = sites.member_by_login(session, "nouveau.caen")
        assert account.password_until_us == person.password_until_us
        members.choose_password(session, account.member, "own", instead_of=HASH)
        assert sites.member_by_login(session, "nouveau.caen").password_until_us is None
        assert acts(session, member_id) == [Act.MEMBER_ADDED, Act.MEMBER_CHANGED]
        with pytest.raises(ConflictError):
            members.choose_password(session, account.member, "another", instead_of=HASH)
        with pytest.raises(ConflictError):
            add(session, centres.caen.administrator)
        with pytest.raises(InvalidError):
            add(session, centres.caen.administrator, login="autre", email="no address")


def test_a_change_of_role_bites_at_once_and_ends_the_links_of_its_maker(database, centres, shared):
    member = centres.caen.pathologist
    with database.writing() as session:
        token = sessions.create(session, member)
        link = links.create(
            session,
            member,
            centres.caen.cases["26H01234"],
            purpose=Purpose.CARE,
            reason="Avis",
            expires_us=session.now_us + 1_000_000_000,
            slide_id=shared.first,
        )
        before = epoch.read(session)
        members.change_role(session, centres.caen.administrator, member.id, Role.TECHNICIAN)
        assert epoch.read(session) == before + 1
        assert sessions.resolve(session, token).member.role is Role.TECHNICIAN
        assert policy.link_state(session, session.get_one(policy.LinkRow, link.id)) is LinkState.MAKER_GONE
        assert acts(session, member.id)[-1] == Act.MEMBER_CHANGED
        members.change_role(session, centres.caen.administrator, member.id, Role.TECHNICIAN)
        assert epoch.read(session) == before + 1, "what changes nothing is no change"


def test_sessions_end_by_the_administrator_by_a_new_password_and_with_the_account(database, centres):
    by, member = centres.caen.administrator, centres.caen.pathologist
    ends = (
        lambda session: members.end_sessions(session, by, member.id),
        lambda session: members.give_password(session, by, member.id, HASH),
        lambda session: members.close(session, by, member.id),
    )
    for end in ends:
        with database.writing() as session:
            token, before = sessions.create(session, member), epoch.read(session)
            assert sessions.resolve(session, token)
            end(session)
            assert epoch.read(session) > before
            assert sessions.resolve(session, token) is None
    with database.writing() as session:
        assert sites.member_by_login(session, member.login) is None
        assert {Act.SESSIONS_ENDED, Act.MEMBER_CHANGED, Act.MEMBER_DISABLED} <= set(acts(session, member.id))
        with pytest.raises(ConflictError, match="closed"):
            members.change_role(session, by, member.id, Role.TRAINEE)


def test_a_password_that_was_right_a_moment_ago_opens_no_session(database, centres):
    """Whoever holds an old password tries it while its owner replaces it and ends all sessions."""
    member = centres.caen.pathologist
    with database.reading() as session:
        account = sites.member_by_login(session, member.login)
    with database.writing() as session:
        sites.hold(session, account)
        members.choose_password(session, member, HASH, instead_of=account.password_hash)
        with pytest.raises(ConflictError, match="changed"):
            sites.hold(session, account)
        now = sites.member_by_login(session, member.login)
        sites.hold(session, now)
        members.close(session, centres.caen.administrator, member.id)
        with pytest.raises(ConflictError, match="changed"):
            sites.hold(session, now)


def test_a_member_sees_and_ends_the_own_sessions(database, centres):
    member = centres.caen.trainee
    with database.writing() as session:
        here, there = sessions.create(session, member), sessions.create(session, member)
        sessions.create(session, centres.caen.pathologist)
        assert sorted(each.this for each in sessions.list_own(session, member, here)) == [False, True]
        assert sessions.end(session, member.id, by=member, keep=here) == 1
        assert [each.this for each in sessions.list_own(session, member, here)] == [True]
        assert sessions.resolve(session, here)
        assert sessions.resolve(session, there) is None


def test_the_own_account_is_for_another_administrator(database, centres):
    by = centres.caen.administrator
    with database.writing() as session:
        for change in (
            lambda: members.change_role(session, by, by.id, Role.PATHOLOGIST),
            lambda: members.give_password(session, by, by.id, HASH),
            lambda: members.close(session, by, by.id),
            lambda: members.end_sessions(session, by, by.id),
            lambda: members.change_profile(session, by, by.id, name="X", language="fr", email=None),
        ):
            with pytest.raises(ConflictError, match="your own account"):
                change()


def test_two_administrators_who_close_each_other_leave_one(database, centres):
    first = centres.caen.administrator
    with database.writing() as session:
        add(session, first, "second.caen", Role.SITE_ADMINISTRATOR)
    with database.reading() as session:
        second = sites.member_by_login(session, "second.caen").member
    together, problems = threading.Barrier(2), []

    def close(by, whom):
        together.wait()
        try:
            with database.writing() as session:
                members.close(session, by, whom.id)
        except (RefusedError, NotFoundError, ConflictError) as problem:
            problems.append(problem)

    threads = [threading.Thread(target=close, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        left = session.scalars(
            select(MemberRow.id).where(
                MemberRow.site_id == "caen",
                MemberRow.role == Role.SITE_ADMINISTRATOR,
                MemberRow.disabled_us.is_(None),
            )
        ).all()
    assert (len(left), len(problems)) == (1, 1)
