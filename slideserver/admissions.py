"""The miss of `slideserver.access`: what the database says to those who ask for a picture, many at a time.

`look` answers in one reading transaction all who need nothing written. `admit` answers the others in a writing one: it
asks the policy again, and puts a new reading, or the refusal, on record. No tile without a row in the audit log.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sqlalchemy.exc import OperationalError

from sharing import audit, epoch, links, policy, readings, sessions, sightings, slides, visits
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session, is_deadlock
from sharing.errors import NotFoundError, Refusal, RefusedError
from sharing.readings import Reading, UnrecordedError
from sharing.sessions import Login
from sharing.slides import Slide
from sharing.subjects import Guest, Member, subject_id
from sharing.visits import GuestSession
from sharing.vocabulary import Action, Entity, LinkState, SlideId, SlideState

# A decision is asked for anew once a minute, which also keeps the session and the reading alive; a refusal soon, since
# giving a right moves no epoch.
KEPT_US = 60 * SECOND_US
REFUSAL_KEPT_US = 2 * SECOND_US


class Look(StrEnum):
    """What of a slide is asked for."""

    TILE = "tile"
    THUMBNAIL = "thumbnail"
    LABEL = "label"
    FILE = "file"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    ABSENT = "absent"
    ENDED = "ended"
    """To a guest whose link is over: the holder of what once was the right is told so."""
    SIGNED_OUT = "signed_out"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, under which epoch, and until when it may be believed. `slide` is there when it is ALLOWED."""

    verdict: Verdict
    epoch: int
    expires_us: int
    slide: Slide | None = None
    own: bool = False
    """Whether it is a slide of the reader's own site, of which the browser may keep pictures."""
    end: LinkState | None = None
    """Why the link is over, when it is ENDED."""
    noted_us: int = 0
    """When it was last written down that the reader reads."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One of those whom the browser proves to be."""

    subject: Member | Guest
    expires_us: int

    def owns(self, slide: Slide) -> bool:
        return isinstance(self.subject, Member) and self.subject.site_id == slide.site_id


@dataclass(frozen=True, slots=True)
class Shown:
    """Whom a browser proves to be, the member first; and the guest's session if that is over, whatever the slide."""

    readers: tuple[Reader, ...]
    over: GuestSession | None

    @property
    def nobody(self) -> bool:
        return not self.readers and self.over is None


# Credential (see `auth.cookies.Credentials`), slide, picture.
Key = tuple[str, SlideId, Look]


class Admitting(Protocol):
    def look(self, keys: Sequence[Key]) -> Mapping[Key, Decision | None]:
        """What can be decided by reading alone; None for who has to be put on record first."""

    def admit(self, keys: Sequence[Key]) -> Mapping[Key, Decision]:
        """What is decided about those who have to be put on record, who then are."""


class Admissions:
    """Decides here, see `Admitting`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, keys: Sequence[Key]) -> dict[Key, Decision | None]:
        answers: dict[Key, Decision | None] = {}
        with self._database.reading() as session:
            # Read first: if a right goes while we look, the decision is of an older epoch and will not be believed.
            under = epoch.read(session)
            shown = _shown(session, keys)
            begun = readings.standing(
                session, (_reading(reader, key) for key in keys for reader in shown[key[0]].readers)
            )
            found = slides.known(session, {which for _, which, look in keys if look is not Look.TILE} | _slides(begun))
            for key in keys:
                answers[key] = _by_reading(session, under, shown[key[0]], key, found.get(key[1]), begun)
        return answers

    def admit(self, keys: Sequence[Key]) -> dict[Key, Decision]:
        try:
            return self._admit(keys)
        except OperationalError as error:
            # Others may lock the same rows in another order: a page that records what it shows, for one.
            if not is_deadlock(error):
                raise
            return self._admit(keys)

    def _admit(self, keys: Sequence[Key]) -> dict[Key, Decision]:
        answers: dict[Key, Decision] = {}
        admitted: list[tuple[Key, Reader, Slide]] = []
        with self._database.writing() as session:
            under = epoch.read(session)
            # Rows are locked in one order, whoever asks together: browsers' sessions, then readings.
            shown = _shown(session, keys)
            slide_of = slides.known(session, {which for _, which, _ in keys})
            for key in keys:
                if shown[key[0]].nobody:
                    answers[key] = Decision(Verdict.SIGNED_OUT, under, session.now_us)
                    continue
                found = _reader(session, shown[key[0]].readers, slide_of.get(key[1]), key[2])
                if isinstance(found, tuple):
                    admitted.append((key, *found))
                else:
                    answers[key] = _refuse(session, under, shown[key[0]], slide_of.get(key[1]), found)
            admitted.sort(key=_place)
            tiles = [(reader.subject, slide) for key, reader, slide in admitted if key[2] is Look.TILE]
            readings.open_readings(session, tiles)
            for key, reader, slide in admitted:
                if key[2] is not Look.TILE:
                    _put_on_record(session, reader, slide, key[2])
                answers[key] = _allowed(session, under, reader, slide, noted_us=session.now_us)
        return answers


def _slides(begun: Iterable[Reading]) -> set[SlideId]:
    return {slide_id for _, _, slide_id in begun}


def _place(admitted: tuple[Key, Reader, Slide]) -> tuple[str, str, str, str]:
    (_, slide_id, look), reader, _ = admitted
    return reader.subject.kind, subject_id(reader.subject) or "", slide_id, look


def _reading(reader: Reader, key: Key) -> Reading:
    return reader.subject.kind, subject_id(reader.subject) or "", key[1]


def _by_reading(
    session: Session, under: int, shown: Shown, key: Key, slide: Slide | None, begun: Collection[Reading]
) -> Decision | None:
    if shown.nobody:  # strangers do not get a turn to write
        return Decision(Verdict.SIGNED_OUT, under, session.now_us)
    look = key[2]
    for reader in shown.readers:
        if look is Look.TILE and _reading(reader, key) not in begun:
            continue
        try:
            slide = _slide(session, reader, slide, look)
            if look is not Look.TILE:
                _put_on_record(session, reader, slide, look)
        except (NotFoundError, RefusedError, UnrecordedError):
            continue
        return _allowed(session, under, reader, slide)
    return None


def _allowed(session: Session, under: int, reader: Reader, slide: Slide, *, noted_us: int = 0) -> Decision:
    expires_us = min(reader.expires_us, session.now_us + KEPT_US)
    return Decision(Verdict.ALLOWED, under, expires_us, slide, reader.owns(slide), noted_us=noted_us)


def _refuse(session: Session, under: int, shown: Shown, slide: Slide | None, refusal: Refusal | None) -> Decision:
    """The "no", put on record where somebody is known and asked for something that there is."""
    kept_us = session.now_us + REFUSAL_KEPT_US
    if shown.over is not None and not shown.readers:
        over = shown.over
        if slide is not None:  # else who once was a guest could fill the log of the site with whatever he invents
            entities = (Entity("link", over.guest.link_id), Entity("slide", slide.id))
            why = f"the link is over: {over.state}"
            refusal = Refusal(over.guest, Action.VIEW_SLIDE, over.guest.site_id, why, entities)
        decision = Decision(Verdict.ENDED, under, kept_us, end=over.state)
    else:
        decision = Decision(Verdict.ABSENT, under, kept_us)
    if refusal is not None:
        audit.record_refused(session, refusal)
    return decision


def _shown(session: Session, keys: Iterable[Key]) -> dict[str, Shown]:
    """Whom each credential proves."""
    credentials = sorted({credential for credential, _, _ in keys})
    tokens = [token for credential in credentials if (token := credential.partition(";")[0])]
    logins = sessions.resolve_all(session, tokens)
    return {credential: _shown_by(session, credential, logins) for credential in credentials}


def _shown_by(session: Session, credential: str, logins: Mapping[str, Login]) -> Shown:
    member, _, guest = credential.partition(";")
    readers: list[Reader] = []
    login = logins.get(member)
    if login is not None:
        readers.append(Reader(login.member, login.expires_us))
    admitted = visits.guest(session, guest) if guest else None
    if admitted is not None and admitted.state not in links.ADMITTED:
        return Shown(tuple(readers), admitted)
    if admitted is not None:
        readers.append(Reader(admitted.guest, admitted.expires_us))
    return Shown(tuple(readers), None)


def _reader(
    session: Session, readers: Sequence[Reader], slide: Slide | None, look: Look
) -> tuple[Reader, Slide] | Refusal | None:
    """The first who may see the slide, and the slide; else why the first may not, None if there is nothing to say."""
    refusal: Refusal | None = None
    for reader in readers:
        try:
            return reader, _slide(session, reader, slide, look)
        except (NotFoundError, RefusedError) as error:
            refusal = refusal or error.refusal
    return refusal


def _slide(session: Session, reader: Reader, slide: Slide | None, look: Look) -> Slide:
    """The slide, if there is one, it is ready, and the reader may have this of it."""
    if slide is None:
        raise policy.absent("slide")
    slides.require(session, reader.subject, slide)
    if slide.state is not SlideState.READY:
        raise policy.absent("slide")
    if look in NEEDS:
        policy.require(session, reader.subject, NEEDS[look], slide, Entity("slide", slide.id))
    return slide


NEEDS = {Look.LABEL: Action.VIEW_LABEL, Look.FILE: Action.DOWNLOAD_SLIDE}
"""What seeing the slide does not include."""


def _put_on_record(session: Session, reader: Reader, slide: Slide, look: Look) -> None:
    """Raises UnrecordedError in a reading transaction, for what it would have to write."""
    match look:
        case Look.TILE:
            readings.open_reading(session, reader.subject, slide)
        case Look.LABEL:
            sightings.open_label(session, reader.subject, slide)
        case Look.THUMBNAIL:
            sightings.glance(session, reader.subject, slide)
