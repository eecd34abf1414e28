"""Signing in and out: what is checked, in which order, and what is put on record."""

from dataclasses import dataclass

from sharing import audit, sessions, sites
from sharing.subjects import Stranger
from sharing.vocabulary import Act, Entity, Outcome
from slideserver.auth.throttle import source_of
from slideserver.state import State

MAX_LOGIN_LENGTH = 100


@dataclass(frozen=True, slots=True)
class SignedIn:
    token: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`wait_s`: seconds until the next try is worth making; 0: at once."""

    wait_s: int = 0


def sign_in(state: State, login: str, password: str, address: str | None, old_token: str | None) -> SignedIn | Refused:
    """A new session for the right password. The one the browser held before, if any, ends.

    Takes tens of milliseconds of a core, as long for a login nobody has as for a wrong password: call it in a thread
    under `state.logins`.
    """
    login = login.strip().lower()[:MAX_LOGIN_LENGTH]
    source = source_of(address)
    wait_s = state.throttle.admit(login, source)
    if wait_s:
        audit.count_stranger(state.database, "sign-in throttled")
        return Refused(wait_s)
    with state.database.reading() as session:
        account = sites.member_by_login(session, login)
    right = state.passwords.verify(account.password_hash if account else None, password)
    if account is None:
        audit.count_stranger(state.database, "unknown login")
        return Refused()
    personal = {"login": login, "source": source}
    with state.database.writing() as session:
        if not right:
            audit.record(
                session,
                site_id=account.member.site_id,
                act=Act.SESSION_OPENED,
                outcome=Outcome.FAILED,
                subject=Stranger(),
                entities=[Entity("member", account.member.id)],
                detail={"reason": "wrong-password"},
                personal=personal,
            )
            return Refused()
        if old_token is not None:
            sessions.revoke(session, old_token, personal=personal)
        token = sessions.create(session, account.member, personal=personal)
    state.throttle.succeeded(login, source)
    return SignedIn(token)


def sign_out(state: State, token: str, address: str | None) -> None:
    """Ends the session everywhere: it bumps the access epoch, so within a second no server process gives it a tile."""
    with state.database.writing() as session:
        sessions.revoke(session, token, personal={"source": source_of(address)})
