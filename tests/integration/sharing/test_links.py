"""Links: who gets in, how often, what they see, and how each link ends."""

import hashlib
import random
import threading
from types import SimpleNamespace

import pytest
from fixtures.cases import add_slide
from sqlalchemy import select, update

from benchmarks.torture_sharing import forgeries
from sharing import cases, chain, epoch, link_lists, links, policy, readings, sites, slides, visits
from sharing.clock import MINUTE_US, SECOND_US
from sharing.db.tables import AuditEventRow, GuestRow, LinkRow
from sharing.errors import CodeWantedError, ConflictError, GoneError, InvalidError, NotFoundError, RefusedError
from sharing.subjects import System
from sharing.vocabulary import Act, Action, CaseId, LinkId, LinkState, Purpose, Role, new_id

ACCESSION = "26H01234"
HOUR_US = 60 * MINUTE_US


@pytest.fixture
def make(database, clock, centres, shared):
    def make(subject=None, **changes):
        arguments = {
            "purpose": Purpose.TUMOUR_BOARD,
            "reason": "RCP sein du 12 janvier",
            "expires_us": clock.now_us() + HOUR_US,
            "slide_id": shared.first,
            "view": "c=1,2&m=40",
        } | changes
        case_id = arguments.pop("case_id", centres.caen.cases[ACCESSION])
        with database.writing() as session:
            return links.create(session, subject or centres.caen.pathologist, case_id, **arguments)

    return make


@pytest.fixture
def look(database):
    def look(function, *args, **kwargs):
        with database.reading() as session:
            return function(session, *args, **kwargs)

    return look


@pytest.fixture
def do(database):
    def do(function, *args, **kwargs):
        with database.writing() as session:
            return function(session, *args, **kwargs)

    return do


def recorded(database, act, site="caen"):
    with database.reading() as session:
        return session.scalars(
            select(AuditEventRow.detail).where(AuditEventRow.act == act, AuditEventRow.site_id == site)
        ).all()


def test_a_guest_sees_the_slides_of_the_link_under_its_number_and_nothing_else(database, centres, shared, make, look):
    link = make(slides=[shared.first])
    redeemed = links.redeem(database, link.id, link.secret)
    assert (redeemed.slide_id, redeemed.view) == (shared.first, "c=1,2&m=40")
    came = look(visits.guest, redeemed.token)
    assert (came.guest, came.state) == (redeemed.guest, LinkState.USED_UP)
    assert look(slides.get_slide, came.guest, shared.first).id == shared.first
    for hidden in (shared.second, shared.unready, shared.other_case):
        with pytest.raises(NotFoundError) as refused:
            look(slides.get_slide, came.guest, hidden)
        assert refused.value.refusal.site_id == "caen"
    for action in set(Action) - {Action.VIEW_SLIDE}:
        with pytest.raises(NotFoundError):
            look(slides.get_slide, came.guest, shared.first, action)
    with pytest.raises(NotFoundError):
        look(cases.get_case, came.guest, centres.caen.cases[ACCESSION])
    assert look(cases.list_cases, came.guest) == []
    shown = look(visits.showing, came.guest)
    assert (shown.reference, [s.id for s in shown.veiled.slides]) == (link.reference, [shared.first])
    assert ACCESSION not in repr(shown)
    assert "EXEMPLE" not in repr(shown)


def test_only_the_hash_of_secret_and_token_is_kept(database, make):
    link = make()
    token = links.redeem(database, link.id, link.secret).token
    assert len(link.secret) == len(token) == 43
    with database.reading() as session:
        assert session.scalars(select(LinkRow.secret_hash)).all() == [hashlib.sha256(link.secret.encode()).hexdigest()]
        assert session.scalars(select(GuestRow.token_hash)).all() == [hashlib.sha256(token.encode()).hexdigest()]


def test_of_fifty_at_once_one_redeems_a_one_time_link(database, make):
    link = make()
    barrier, outcomes = threading.Barrier(50), []

    def redeem():
        barrier.wait()
        try:
            outcomes.append(links.redeem(database, link.id, link.secret).token)
        except GoneError as error:
            outcomes.append(error.why)

    threads = [threading.Thread(target=redeem) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 50
    assert outcomes.count(LinkState.USED_UP) == 49
    assert len(recorded(database, Act.LINK_REDEEMED)) == 1
    assert len(recorded(database, Act.LINK_REFUSED)) == 49
    chain.seal(database)
    with database.writing() as session:
        assert chain.verify(session).whole


def test_a_link_admits_as_often_as_it_says(database, make, look):
    link = make(max_uses=3)
    tokens = {links.redeem(database, link.id, link.secret).token for _ in range(3)}
    assert len(tokens) == 3
    with pytest.raises(GoneError) as gone:
        links.redeem(database, link.id, link.secret)
    assert gone.value.why is LinkState.USED_UP
    assert all(look(visits.guest, token).state is LinkState.USED_UP for token in tokens)


@pytest.mark.parametrize("wrong", ["", "x", "{secret}a", "{swapped}", "{hash}", "\udc80", "a" * 43])
def test_a_wrong_secret_is_as_good_as_no_link_and_costs_no_use(database, make, look, wrong):
    link = make()
    wrong = wrong.format(
        secret=link.secret, swapped=link.secret.swapcase(), hash=hashlib.sha256(link.secret.encode()).hexdigest()
    )
    said = set()
    for link_id in (link.id, LinkId(new_id()), LinkId("'; --"), LinkId("é")):
        with pytest.raises(NotFoundError) as refused:
            links.redeem(database, link_id, wrong)
        assert not isinstance(refused.value, GoneError)
        said.add(str(refused.value))
    assert len(said) == 1
    assert database.strangers.take() == {
        ("caen", database.clock.now_us() // MINUTE_US * MINUTE_US, "wrong secret of a link"): 1,
        ("platform", database.clock.now_us() // MINUTE_US * MINUTE_US, "no such link"): 3,
    }
    assert links.redeem(database, link.id, link.secret)


def test_no_key_and_no_code_comes_in_but_the_right_one(database, centres, shared, look, figure):
    """The short form of what `make torture-sharing` does to two servers."""
    slide = look(slides.get_slide, System(), shared.first)
    with database.writing() as session:
        other = slides.get_slide(session, System(), add_slide(session, centres.rouen, "26R00077"))
    keys = forgeries.prepare(SimpleNamespace(database=database, centres=centres, slide=slide), other, 4)
    assert forgeries.unnoticed(keys, 7) == [], "doors known to be bad let the attack in"
    chance, tries, accepted = random.Random(7), 240, []
    for turn in range(tries):
        tried = forgeries.at_the_door(keys, chance, turn)
        try:
            links.redeem(database, tried.link_id, tried.secret, code=tried.code)
        except (NotFoundError, CodeWantedError):
            continue
        accepted.append(tried)
    figure("link.forgeries", tries)
    figure("link.accepted", len(accepted))
    assert accepted == []
    fresh = forgeries.bind(SimpleNamespace(database=database, centres=centres, slide=slide))
    for link, code in ((keys.standing, None), (fresh.link, fresh.standing)):
        assert links.redeem(database, link.id, link.secret, code=code), "the right one does"


def test_no_other_token_finds_a_guest(database, make, look):
    link = make()
    token = links.redeem(database, link.id, link.secret).token
    for wrong in ("", token[:-1], token.swapcase(), link.secret, hashlib.sha256(token.encode()).hexdigest()):
        assert look(visits.guest, wrong) is None


def end_by_time(database, clock, centres, link):
    clock.advance(hours=1)


def end_by_maker(database, clock, centres, link):
    with database.writing() as session:
        links.revoke(session, centres.caen.pathologist, link.id)


def end_by_manager(database, clock, centres, link):
    with database.writing() as session:
        links.revoke(session, centres.caen.lab_manager, link.id)


def end_by_account(database, clock, centres, link):
    with database.writing() as session:
        sites.disable_member(session, centres.caen.pathologist.id)


@pytest.mark.parametrize(
    ("end", "why", "bumps"),
    [
        (end_by_time, LinkState.EXPIRED, 0),
        (end_by_maker, LinkState.REVOKED, 1),
        (end_by_manager, LinkState.REVOKED, 1),
        (end_by_account, LinkState.MAKER_GONE, 1),
    ],
)
def test_an_ended_link_shows_nothing_and_tells_the_holder_why(
    database, clock, centres, shared, make, look, end, why, bumps
):
    link = make(max_uses=2)
    redeemed = links.redeem(database, link.id, link.secret)
    before = look(epoch.read)
    end(database, clock, centres, link)
    assert look(epoch.read) == before + bumps
    assert look(visits.guest, redeemed.token).state is why
    with pytest.raises(NotFoundError):
        look(slides.get_slide, redeemed.guest, shared.first)
    with pytest.raises(GoneError) as gone:
        look(visits.showing, redeemed.guest)
    assert (gone.value.why, str(gone.value)) == (why, links.ENDED[why])
    with pytest.raises(GoneError) as gone:
        links.redeem(database, link.id, link.secret)
    assert gone.value.why is why
    with pytest.raises(NotFoundError) as stranger:
        links.redeem(database, link.id, "a" * 43)
    assert not isinstance(stranger.value, GoneError)
    assert [f'"reason":"{why}"' in detail for detail in recorded(database, Act.LINK_REFUSED)] == [True]
    with database.reading() as session:
        assert session.get(LinkRow, link.id).uses == 1


def test_a_guest_stays_twelve_hours_at_most(database, clock, make, look):
    link = make(expires_us=clock.now_us() + 48 * HOUR_US, max_uses=2)
    token = links.redeem(database, link.id, link.secret).token
    clock.advance(hours=11.9)
    assert look(visits.guest, token).state is LinkState.LIVE
    clock.advance(hours=0.1)
    assert look(visits.guest, token).state is LinkState.EXPIRED
    assert links.redeem(database, link.id, link.secret)


def test_a_slide_that_leaves_the_case_leaves_the_link(database, centres, shared, make, look):
    link = make()
    guest = links.redeem(database, link.id, link.secret).guest
    assert look(slides.get_slide, guest, shared.second)
    with database.writing() as session:
        slides.assign(session, centres.caen.technician, shared.second, centres.caen.cases["26H01235"])
    with pytest.raises(NotFoundError):
        look(slides.get_slide, guest, shared.second)
    assert [s.id for s in look(visits.showing, guest).veiled.slides] == [shared.first]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": " "}, "The reason is empty"),
        ({"max_uses": 0}, "from once to 100"),
        ({"max_uses": 101}, "from once to 100"),
        ({"slides": []}, "Only slides of this case"),
        ({"view": "<script>"}, "no view"),
    ],
)
def test_a_link_that_cannot_be_is_refused_in_words(make, changes, words):
    with pytest.raises(InvalidError, match=words):
        make(**changes)


def test_a_link_ends_between_now_and_ninety_days_from_now_whatever_the_browsers_clock_says(clock, make):
    for hours in (-48, 0, 90 * 24 + 0.1):
        with pytest.raises(InvalidError, match="between now and 90 days"):
            make(expires_us=clock.now_us() + round(hours * HOUR_US))
    assert make(expires_us=clock.now_us() + 90 * 24 * HOUR_US)


def test_a_link_never_widens_what_its_maker_may_see(database, centres, shared, make):
    for subject, error in (
        (centres.rouen.pathologist, NotFoundError),
        (centres.caen.technician, RefusedError),
        (centres.caen.lab_manager, RefusedError),
    ):
        with pytest.raises(error) as refused:
            make(subject)
        assert refused.value.refusal.action in (Action.SHARE_BY_LINK, Action.VIEW_CASE)
    with pytest.raises(NotFoundError):
        make(case_id=CaseId("none"))
    for wrong in (shared.other_case, shared.unready):
        with pytest.raises(InvalidError) as refused:
            make(slides=[shared.first, wrong])
        assert refused.value.refusal.entities[1].id == wrong


def test_who_may_revoke(database, centres, make, do):
    link = make()
    with database.writing() as session:
        sites.add_member(session, centres.caen.id, login="c2", name="C", role=Role.PATHOLOGIST, password_hash="x")
        colleague = sites.member_by_login(session, "c2").member
    for subject, error in (
        (colleague, RefusedError),
        (centres.caen.technician, RefusedError),
        (centres.rouen.lab_manager, NotFoundError),
        (links.redeem(database, link.id, link.secret).guest, NotFoundError),
    ):
        with pytest.raises(error):
            do(links.revoke, subject, link.id)
    do(links.revoke, centres.caen.pathologist, link.id)
    with pytest.raises(ConflictError, match="revoked already") as again:
        do(links.revoke, centres.caen.lab_manager, link.id)
    assert again.value.refusal.reason == "revoked before"


def test_the_maker_sees_whether_it_was_opened(database, clock, centres, shared, make, look):
    link = make()
    (before,) = look(link_lists.made, centres.caen.pathologist)
    assert (before.opened_us, before.uses, before.state, before.accession) == (None, 0, LinkState.LIVE, ACCESSION)
    clock.advance(minutes=5)
    links.redeem(database, link.id, link.secret)
    (after,) = look(link_lists.made, centres.caen.pathologist)
    assert (after.opened_us, after.uses, after.state) == (clock.now_us(), 1, LinkState.USED_UP)
    assert set(after.slides) == {shared.first, shared.second}
    assert look(link_lists.of_case, centres.caen.lab_manager, centres.caen.cases[ACCESSION]) == [after]
    assert look(link_lists.made, centres.rouen.pathologist) == []
    with pytest.raises(NotFoundError):
        look(link_lists.of_case, centres.rouen.pathologist, centres.caen.cases[ACCESSION])


def test_a_guests_reading_is_on_record_with_its_link(database, centres, shared, make):
    link = make()
    guest = links.redeem(database, link.id, link.secret, personal={"source": "192.0.2.7"}).guest
    with database.writing() as session:
        assert readings.open_reading(session, guest, slides.get_slide(session, guest, shared.first))
    with database.reading() as session:
        rows = session.execute(select(AuditEventRow.__table__).where(AuditEventRow.act == Act.SLIDE_OPENED)).all()
    (row,) = rows
    assert (row.site_id, row.agent_kind, row.agent_id, row.agent_site_id, row.purpose) == (
        "caen",
        "guest",
        guest.id,
        None,
        "tumour_board",
    )
    assert link.id in row.entities


def test_a_link_that_a_restore_revoked_has_nobody_who_did_it(database, clock, make, look, centres):
    link = make()
    with database.writing() as session:
        session.execute(update(LinkRow).values(revoked_us=session.now_us))
    assert look(link_lists.made, centres.caen.pathologist)[0].state is LinkState.REVOKED
    with pytest.raises(GoneError):
        links.redeem(database, link.id, link.secret)


def test_a_live_link_stays_live_to_its_last_microsecond(database, clock, make):
    link = make(expires_us=clock.now_us() + SECOND_US, max_uses=2)
    clock.advance(seconds=0.999999)
    assert links.redeem(database, link.id, link.secret).expires_us == clock.now_us() + 1
    with database.reading() as session:
        assert policy.link_state(session, session.get(LinkRow, link.id)) is LinkState.LIVE
