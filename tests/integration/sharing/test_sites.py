"""Sites and members: what proves who one is, and what no longer does."""

import pytest
from sqlalchemy import select

from sharing import epoch, sessions, sites
from sharing.db.tables import MemberRow
from sharing.errors import ConflictError, InvalidError, NotFoundError
from sharing.vocabulary import PLATFORM, Role


def test_sites_are_listed_by_name(database, centres):
    with database.reading() as session:
        assert [site.name for site in sites.list_sites(session)] == ["Caen", "Experts extérieurs", "Lille", "Rouen"]


@pytest.mark.parametrize("wrong", ["Caen", "c", "../caen", "", "caen nord", PLATFORM])
def test_a_site_id_is_short_and_plain(database, wrong):
    with database.writing() as session, pytest.raises(InvalidError):
        sites.add_site(session, wrong, "Caen")


def test_names_are_taken_once(database, centres):
    with database.writing() as session:
        with pytest.raises(ConflictError):
            sites.add_site(session, "caen", "Another")
        with pytest.raises(ConflictError):
            sites.add_site(session, "another", "Caen")
        with pytest.raises(ConflictError):  # a login is one person's on the whole platform
            sites.add_member(
                session, "rouen", login="Pathologiste.CAEN", name="X", role=Role.PATHOLOGIST, password_hash="x"
            )


def test_a_login_finds_its_account_in_any_letter_case(database, centres):
    with database.reading() as session:
        account = sites.member_by_login(session, " Pathologiste.Caen ")
        assert account.member == centres.caen.pathologist
        assert account.member.site_name == "Caen"
        assert account.password_hash.startswith("$argon2id$")
        assert sites.member_by_login(session, "nobody") is None


def test_a_closed_account_loses_its_sessions_at_once(database, centres):
    member = centres.caen.pathologist
    with database.writing() as session:
        token = sessions.create(session, member)
        before = epoch.read(session)
        sites.disable_member(session, member.id)
        assert epoch.read(session) == before + 1
    with database.reading() as session:
        assert sessions.resolve(session, token) is None
        assert sites.member_by_login(session, member.login) is None
    with database.writing() as session, pytest.raises(NotFoundError):
        sites.disable_member(session, member.id)


def test_a_mail_address_is_kept_changed_and_taken_away(database, centres):
    member_id = centres.caen.pathologist.id
    for address in (" anne@hopital.example ", "a@b.example", None):
        with database.writing() as session:
            sites.set_email(session, member_id, address)
            kept = session.scalars(select(MemberRow.email).where(MemberRow.id == member_id)).one()
        assert kept == (address and address.strip())


WRONG = ("anne", "a@b@c", "a b@c", "a@b, c@d", "a@b\r\nBcc: c@d", "<a@b>", "@b", "a@[", "().@b", "=?x?q?b?=@c.d")


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_mail_address_is_refused(database, centres, wrong):
    with database.writing() as session, pytest.raises(InvalidError, match="no mail address"):
        sites.set_email(session, centres.caen.pathologist.id, wrong)
