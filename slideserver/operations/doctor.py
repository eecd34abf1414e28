"""`iain doctor`: looks at what the platform stands on, really tries it, and says of each part what to do.

It changes nothing. A part *fails* when the platform cannot work with it as it is, *warns* when somebody should look.
"""

import ctypes
import os
import resource
import shutil
import smtplib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby

from sqlalchemy import and_, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from ingest.manifest import MAX_FILES, ManifestError, SetFile, manifest_of
from sharing import chain, contradictions, custody, witnesses
from sharing.clock import SECOND_US
from sharing.custody import Bearer
from sharing.db import privileges
from sharing.db.engine import MOST_CONNECTIONS, Database, Session
from sharing.db.migrations import head
from sharing.db.tables import AuditEventRow, SlideFileRow, SlideRow
from sharing.subjects import System
from sharing.vocabulary import SlideState
from slideserver.access import TURNS
from slideserver.assets import Assets
from slideserver.mail import connect
from slideserver.operations import codecs
from slideserver.operations.findings import Finding as Finding
from slideserver.operations.findings import State as State
from slideserver.operations.snapshots import schema_of
from slideserver.settings import Settings
from tiler.errors import TilerError
from tiler.index import TileIndex, file_name
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalBlobStore

GIB = 1 << 30
FREE_WARN_BYTES = 20 * GIB
FREE_FAIL_BYTES = GIB
CLOCK_APART_S = 5.0
# For pg_dump, psql and whoever else comes.
SPARE_CONNECTIONS = 10
UNSEALED_US = 60 * SECOND_US
SILENT_WITNESS_US = 24 * 3600 * SECOND_US
# Nothing of this program existed before; a clock that says so has lost its battery.
EARLIEST_US = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * SECOND_US
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_LISTED = 3


def examine(settings: Settings, database: Database) -> list[Finding]:
    """Every part, in the order in which they rest on each other."""
    return list(_examine(settings, database))


def _examine(settings: Settings, database: Database) -> Iterator[Finding]:
    reachable = _database(database)
    yield reachable
    yield from _store(settings, database if reachable.state is not State.FAILED else None)
    if reachable.state is not State.FAILED:
        yield _seals(database)
        yield _witnesses(database)
        if database.engine.dialect.name == "postgresql":
            yield _connections(settings, database)
    yield _clock(database if reachable.state is not State.FAILED else None)
    yield from codecs.examined(Sandbox(settings.sandbox))
    yield _front_end()
    yield _address(settings)
    yield _descriptors(settings)
    yield _mail(settings)


def _database(database: Database) -> Finding:
    part = "database"
    place = database.engine.url.render_as_string(hide_password=True)
    try:
        with database.reading() as session:
            connection = session.connection()
            schema = schema_of(connection)
            sqlite = connection.dialect.name == "sqlite"
            damage = str(session.scalar(text("PRAGMA quick_check(1)"))) if sqlite else "ok"
            version = session.scalar(text("SELECT sqlite_version()" if sqlite else "SHOW server_version"))
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", error) or error).splitlines()[0]
        return Finding(
            part,
            State.FAILED,
            f"{place} cannot be read: {cause}",
            "Start the database server, check IAIN_DATABASE_URL and the right to connect. "
            "On a new machine: iain migrate.",
        )
    if damage != "ok":
        return Finding(part, State.FAILED, f"{place} is damaged: {damage}", "Stop the server and restore a backup.")
    if schema != head():
        return Finding(
            part, State.FAILED, f"{place} has the schema {schema or 'of nobody'}, not {head()}.", "Run: iain migrate"
        )
    return Finding(part, State.FINE, f"{place} ({'SQLite' if sqlite else 'PostgreSQL'} {version}), schema {schema}")


def _seals(database: Database) -> Finding:
    """Whether all is sealed that should be, and whether this very role could change it."""
    part = "seals"
    with database.reading() as session:
        connection = session.connection()
        alterable, sqlite = privileges.alterable(connection), connection.dialect.name == "sqlite"
        overdue = chain.overdue(session, UNSEALED_US)
    if overdue:
        sentence = f"{overdue} events of the journal have waited to be sealed for more than a minute."
        return Finding(
            part, State.WARNING, sentence, "If the server runs, see which chain cannot go on: iain audit verify"
        )
    if not alterable:
        return Finding(part, State.FINE, "what is sealed takes no change")
    sentence = f"The server could change what is sealed: {', '.join(alterable)}."
    if sqlite:
        return Finding(part, State.FAILED, sentence, "Triggers were dropped. Restore a backup, and ask who did it.")
    remedy = "Give the tables to another role: docs/howto/install.md, 2; then run: iain migrate"
    return Finding(part, State.WARNING, sentence, remedy)


def _witnesses(database: Database) -> Finding:
    part = "witnesses"
    with database.reading() as session:
        found = [each for each in witnesses.listed(session) if each.disabled_us is None]
        silent = [each.name for each in found if session.now_us - (each.signed_us or 0) > SILENT_WITNESS_US]
        refusing = contradictions.everywhere(session)
    if refusing:
        named = ", ".join(
            f"{each.witness} the log of {each.log} since {_date(each.since_us)} ({each.what})" for each in refusing
        )
        remedy = "Call the people who keep the witness, and leave the database as it is: docs/howto/witness.md"
        return Finding(part, State.FAILED, f"A witness refuses to countersign: {named}.", remedy)
    if not found:
        return Finding(part, State.FINE, "nobody outside the server countersigns the journal: docs/howto/witness.md")
    if silent:
        return Finding(
            part,
            State.WARNING,
            f"Not heard for a day: {', '.join(silent)}.",
            "Ask at its site whether it runs, and whether it refuses to sign: iain-agent witness",
        )
    return Finding(part, State.FINE, f"{len(found)} countersign the journal")


def _connections(settings: Settings, database: Database) -> Finding:
    """Whether PostgreSQL takes as many as all processes of the server together may want."""
    part = "connections"
    several = settings.answering > 1  # then there is one that does the work, too, and one that decides
    wanted = (settings.answering + several) * MOST_CONNECTIONS + settings.answering * TURNS * several
    with database.reading() as session:
        most, kept = (
            int(session.scalar(text(f"SHOW {name}")) or 0)
            for name in ("max_connections", "superuser_reserved_connections")
        )
        idle = session.scalar(text("SHOW idle_in_transaction_session_timeout"))
    sentence = (
        f"{settings.answering + 2 * several} processes may want {wanted} connections; PostgreSQL gives {most - kept}"
    )
    if wanted > most - kept:
        remedy = f"Set max_connections = {-(-(wanted + kept + SPARE_CONNECTIONS) // 50) * 50} in postgresql.conf"
        return Finding(part, State.WARNING, f"{sentence}.", f"{remedy} and start it again, or lower IAIN_PROCESSES.")
    return Finding(part, State.FINE, f"{sentence}, and ends what is idle in a transaction for {idle}")


def _store(settings: Settings, database: Database | None) -> Iterator[Finding]:
    part, var = "store", settings.var
    remedy = f"Create {var} and give it to the user the server runs as: install -d -m 750 -o iain {var}"
    try:
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=var) as probe:
            probe.write(b"written by iain doctor")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        yield Finding(part, State.FAILED, f"{var} cannot be written: {error.strerror}.", remedy)
        return
    free = shutil.disk_usage(var).free
    room = f"{var}, {free / GIB:.0f} GiB free"
    if free < FREE_WARN_BYTES:
        state = State.FAILED if free < FREE_FAIL_BYTES else State.WARNING
        yield Finding(part, state, f"{room}: scanners will soon be refused.", "Make room on this disk, or enlarge it.")
    else:
        yield Finding(part, State.FINE, room)
    places = {(var / name).stat().st_dev for name in ("blobs", "uploads", "aside", "building") if (var / name).is_dir()}
    if len(places) > 1:
        yield Finding(
            part,
            State.FAILED,
            "Uploads and slides lie on different disks: an upload cannot become a slide.",
            f"Put {var / 'uploads'}, {var / 'aside'}, {var / 'building'} and {var / 'blobs'} on one file system.",
        )
    if database is not None:
        yield _slides(settings, database)
        yield _custody(settings, database)


def _slides(settings: Settings, database: Database) -> Finding:
    """Whether what the database names is there, with the right length and index, and names all that a slide was made
    of. Digests are a backup's business."""
    store = LocalBlobStore(settings.var / "blobs")
    files = select(SlideRow.site_id, SlideFileRow.sha256, SlideFileRow.length).join(
        SlideRow, SlideRow.id == SlideFileRow.slide_id
    )
    ready = select(SlideRow.id, SlideRow.index_digest).where(SlideRow.state == SlideState.READY)
    lost = []
    with database.reading() as session:
        lost += [f"files of the slide {slide_id}" for slide_id in _incomplete(session)]
        for row in session.execute(files):
            try:
                right = store.path(row.site_id, row.sha256).stat().st_size == row.length
            except TilerError:
                right = False
            if not right:
                lost.append(f"blobs/{row.site_id}/{row.sha256[:2]}/{row.sha256}")
        slides = [(row.id, row.index_digest) for row in session.execute(ready)]
    for slide_id, index_digest in slides:
        try:
            TileIndex.open(settings.var / "slides" / slide_id / file_name(index_digest), digest=index_digest)
        except (TilerError, OSError):
            lost.append(f"slides/{slide_id}/{file_name(index_digest)}")
    if lost:
        named = ", ".join(lost[:_LISTED]) + (" …" if len(lost) > _LISTED else "")
        return Finding(
            "slides", State.FAILED, f"{len(lost)} files are missing or damaged: {named}", "Copy them from a backup."
        )
    return Finding("slides", State.FINE, f"{len(slides)} can be read; every file is there")


def _custody(settings: Settings, database: Database) -> Finding:
    """What reading all files again has found: in the background, or when somebody last asked for it."""
    part, remedy = "custody", "Push these slides again, or copy the files from a backup; then run: iain verify"
    with database.reading() as session:
        standing, damaged = custody.standing(session), custody.damaged(session, System(), limit=_LISTED)
    if damaged:
        named = ", ".join(f"{found.sha256[:12]}… ({_whose(found.bearers)}: {found.damage})" for found in damaged)
        more = " …" if standing.damaged > len(damaged) else ""
        sentence = f"Damaged or missing: {standing.damaged} of {standing.files} files: {named}{more}"
        return Finding(part, State.FAILED, sentence, remedy)
    if not settings.scrub_bytes_per_s:
        sentence = "Nobody reads the stored files again: a disk that forgets is found out when somebody looks."
        return Finding(part, State.WARNING, sentence, "Set IAIN_SCRUB_BYTES_PER_S, or run iain verify every month.")
    since = f", the first of them {_date(standing.oldest_us)}" if standing.oldest_us else ""
    return Finding(part, State.FINE, f"{standing.checked} of {standing.files} files were read again{since}; all sound")


def _whose(bearers: tuple[Bearer, ...]) -> str:
    return ", ".join(
        f"{bearer.slide_name}, {f'case {bearer.accession}' if bearer.accession else 'without a case'}"
        for bearer in bearers[:_LISTED]
    )


def _incomplete(session: Session) -> Iterator[str]:
    """Slides whose received files are not those of their manifest, or not the one file they were made of."""
    received = (
        select(
            SlideRow.id, SlideRow.sha256, SlideFileRow.name, SlideFileRow.length, SlideFileRow.sha256.label("digest")
        )
        .outerjoin(SlideFileRow, and_(SlideRow.id == SlideFileRow.slide_id, ~SlideFileRow.derived))
        .order_by(SlideRow.id)
    )
    for (slide_id, sha256), rows in groupby(session.execute(received), key=lambda row: (row.id, row.sha256)):
        files = [SetFile(row.name, row.length, row.digest) for row in rows if row.digest]
        try:
            whole = sha256 == (files[0].sha256 if len(files) == 1 else manifest_of(files).sha256)
        except ManifestError:
            whole = False
        if not whole:
            yield slide_id


def _clock(database: Database | None) -> Finding:
    part, remedy = "clock", "Set the clock, and keep it by NTP: timedatectl set-ntp true"
    now_us = database.clock.now_us() if database else 0
    if database is not None:
        with database.reading() as session:
            last_us = session.scalar(select(func.max(AuditEventRow.recorded_us))) or 0
            theirs = (
                session.scalar(text("SELECT EXTRACT(EPOCH FROM clock_timestamp())"))
                if database.engine.dialect.name == "postgresql"
                else None
            )
            now_us = database.clock.now_us()
        if now_us < EARLIEST_US:
            return Finding(part, State.FAILED, f"It is not {_date(now_us)}.", remedy)
        if last_us > now_us + CLOCK_APART_S * SECOND_US:
            return Finding(
                part,
                State.FAILED,
                f"The clock says {_date(now_us)}, and the journal already has an event of {_date(last_us)}: "
                "one of the two was wrong. Links and sessions end at the wrong time.",
                remedy,
            )
        if theirs is not None and abs(float(theirs) - now_us / SECOND_US) > CLOCK_APART_S:
            apart = abs(float(theirs) - now_us / SECOND_US)
            return Finding(part, State.FAILED, f"The database's clock is {apart:.0f} s away from this one.", remedy)
    if _synchronised() is False:
        return Finding(part, State.WARNING, "Nobody keeps this machine's clock.", remedy)
    return Finding(part, State.FINE, "goes with the journal")


def _synchronised() -> bool | None:
    """What the kernel knows (adjtimex(2)); None where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    asked = ctypes.create_string_buffer(512)  # struct timex with modes = 0: only reading
    state = getattr(libc, "adjtimex", lambda _: -1)(asked)
    return None if state < 0 else state != _TIME_ERROR


def _front_end() -> Finding:
    try:
        Assets()("src/viewer.ts")
    except (OSError, ValueError, KeyError) as error:
        return Finding("pages", State.FAILED, f"The front end is not built: {error}", "Run: make static")
    return Finding("pages", State.FINE, "the front end is built")


def _address(settings: Settings) -> Finding:
    part, place = "address", settings.base_url or f"http://{settings.host}:{settings.port}"
    tls = settings.base_url.startswith("https://")
    if "*" in settings.trusted_proxies:
        return Finding(
            part,
            State.FAILED,
            "Everybody's X-Forwarded-For is believed: the journal's sources can be made up.",
            "Name the proxy's address in IAIN_TRUSTED_PROXIES, such as 127.0.0.1.",
        )
    if tls != settings.secure_cookies:
        return Finding(
            part,
            State.FAILED,
            f"People come to {place}, and IAIN_SECURE_COOKIES is {str(settings.secure_cookies).lower()}.",
            "Set IAIN_BASE_URL=https://… and IAIN_SECURE_COOKIES=true together.",
        )
    if not tls and settings.host not in ("127.0.0.1", "::1", "localhost"):
        return Finding(
            part,
            State.WARNING,
            f"{place} is open to the network without TLS: passwords can be overheard.",
            "Put nginx in front, see docs/howto/install.md.",
        )
    if tls and not settings.trusted_proxies:
        return Finding(
            part,
            State.WARNING,
            f"{place} comes through a proxy that is not trusted: everybody seems to come from the proxy's address.",
            "Set IAIN_TRUSTED_PROXIES to the proxy's address, such as 127.0.0.1.",
        )
    return Finding(part, State.FINE, place)


def _descriptors(settings: Settings) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Who registers, who builds and who looks: each may have all files of one slide open.
    needed = 2 * settings.open_slides + (settings.workers + 2) * MAX_FILES + 512
    if soft < needed:
        return Finding(
            "files",
            State.WARNING,
            f"{soft} files may be open at once; {settings.open_slides} slides and their readers may need {needed}.",
            f"LimitNOFILE={needed} in the unit, or ulimit -n {needed}.",
        )
    return Finding("files", State.FINE, f"{soft} may be open at once")


def _mail(settings: Settings) -> Finding:
    """Connects and signs in as the outbox does; sends nothing."""
    part, place = "mail", f"{settings.smtp_host}:{settings.smtp_port}"
    if not settings.smtp_host:
        return Finding(
            part,
            State.WARNING,
            "No mail is sent: nobody is told that an opinion waits unless he looks.",
            "Set IAIN_SMTP_HOST, see docs/reference/settings.md.",
        )
    remedy = f"Check IAIN_SMTP_…, and from this machine: openssl s_client -starttls smtp -connect {place}"
    try:
        with connect(settings) as post:
            code, _ = post.noop()
    except (OSError, smtplib.SMTPException) as error:
        return Finding(part, State.FAILED, f"{place} takes no mail from us: {error}", remedy)
    if code != 250:
        return Finding(part, State.FAILED, f"{place} answers {code}.", remedy)
    if not settings.smtp_starttls and settings.smtp_host not in ("127.0.0.1", "::1", "localhost"):
        return Finding(part, State.WARNING, f"Mail goes to {place} unencrypted.", "Set IAIN_SMTP_STARTTLS=true.")
    return Finding(part, State.FINE, f"{place} takes our mail")


def _date(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / SECOND_US, UTC).strftime("%Y-%m-%d %H:%M UTC")
