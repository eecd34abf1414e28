"""Audit rows as lines for people: grouped by day on the page, flat in the CSV. Pure: rows in, text out."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sharing.audit_search import AuditRow
from sharing.vocabulary import Action, Outcome, Purpose, Role
from slideserver.i18n import Language
from slideserver.pages import moments
from slideserver.pages.words import ACTS, CONTRADICTIONS, N_, OUTCOMES, PURPOSES, ROLES

Translate = Callable[[str], str]

AGENTS = {"agent": N_("Scanner"), "system": N_("Platform"), "stranger": N_("Stranger"), "guest": N_("Guest")}

# What of an event's particulars is worth a reader's time, in this order, and what to call it.
DETAILS = {
    "asked": N_("asked for:"),
    "reason": N_("reason:"),
    "refused": N_("reason:"),
    "file_name": N_("file:"),
    "source": N_("from"),
    "login": N_("login:"),
    "count": N_("count:"),
    "reference": N_("number:"),
    "purpose": N_("purpose:"),
    "recipient": N_("recipient:"),
    "witness": N_("witness:"),
    "log": N_("journal:"),
}

# For what somebody asked who was refused.
ASKED = {
    Action.LIST_CASES: N_("list of cases"),
    Action.VIEW_CASE: N_("a case"),
    Action.REGISTER_CASE: N_("a new case"),
    Action.VIEW_SLIDE: N_("a slide"),
    Action.VIEW_LABEL: N_("a label"),
    Action.PUSH_SLIDE: N_("sending a slide"),
    Action.ASSIGN_SLIDE: N_("putting a slide into a case"),
    Action.VIEW_INTAKE: N_("Reception and scanners"),
    Action.READ_AUDIT: N_("the journal"),
    Action.ERASE_PERSONAL: N_("erasing names from the journal"),
    Action.REQUEST_CONSULTATION: N_("asking for an opinion"),
    Action.VIEW_CONSULTATION: N_("opinions"),
    Action.FOLLOW_CONSULTATION: N_("going on with a request"),
    Action.ANSWER_CONSULTATION: N_("answering a request"),
    Action.SHARE_BY_LINK: N_("guest links"),
    Action.REVOKE_LINK: N_("revoking a link"),
    Action.VIEW_SHARES: N_("the list of shares"),
    Action.END_SHARE: N_("ending a share"),
    Action.CERTIFY_SHARES: N_("a certificate of sharing"),
    Action.DOWNLOAD_SLIDE: N_("the file of a slide"),
    Action.EXPLAIN_ACCESS: N_("why somebody sees a slide"),
    Action.VIEW_OBJECTIONS: N_("the register of objections"),
    Action.REGISTER_OBJECTION: N_("entering an objection"),
    Action.MANAGE_MEMBERS: N_("the accounts"),
}

# The reasons that our own code puts on record, in a reader's words.
REASONS = {
    "belongs to another site": N_("belongs to another centre"),
    "not open to the role pathologist": N_("not open to pathologists"),
    "not open to the role technician": N_("not open to technicians"),
    "not open to the role lab_manager": N_("not open to lab managers"),
    "not open to the role trainee": N_("not open to trainees"),
    "not open to the role data_protection_officer": N_("not open to data protection officers"),
    "not open to the role site_administrator": N_("not open to site administrators"),
    "not open to the role external_expert": N_("not open to external experts"),
    "nothing of the own site is open to experts": N_("not open to external experts"),
    "no longer an administrator": N_("no longer an administrator"),
    "the upload of another sender": N_("the upload of somebody else"),
    "the patient objects to teaching": N_("the patient objects to teaching"),
    "the patient objects to research": N_("the patient objects to research"),
    "the patient objects to ai": N_("the patient objects to analysis by programs"),
    "wrong-password": N_("wrong password"),
    "unknown login": N_("unknown login"),
    "sign-in throttled": N_("too many tries"),
    "scanner-key": N_("unknown scanner key"),
    "not-a-slide": N_("not a slide"),
    "damaged": N_("damaged file"),
    "unreadable": N_("could not be read in several tries"),
    "unsupported": N_("kind of file not read yet"),
    "decoder-died": N_("the decoder stopped"),
    "decoder-timeout": N_("reading took too long"),
    "digest-mismatch": N_("not the bytes that were sent"),
    "bad-index": N_("the file describes itself wrongly"),
    "wrong secret of a link": N_("wrong key of a link"),
    "unknown session": N_("unknown session"),
    "not signed in": N_("not signed in"),
    "asked of another site": N_("asked of another centre"),
    "for the side that asked": N_("for the side that asked"),
    "a link that somebody else made": N_("a link that somebody else made"),
    "not shown by the guest's link": N_("not shown by the guest’s link"),
    "not a ready slide of the case": N_("not a ready slide of the case"),
    "nobody there could answer": N_("nobody there could answer"),
    "undone too late": N_("undone too late"),
    "revoked before": N_("revoked before"),
    "used_up": N_("uses spent"),
    "expired": N_("expired"),
    "revoked": N_("revoked"),
    "wrong_code": N_("wrong code"),
    "stale code of a link": N_("code no longer valid"),
    "objected": N_("ended by an objection"),
    "maker_gone": N_("ended with its maker’s right"),
    **{code.value: words for code, words in CONTRADICTIONS.items()},
}

# Those that name a move and a state of a request.
MOVED_ON = (
    (re.compile(r"\w+ of what is \w+"), N_("no longer possible in this request")),
    (re.compile(r"\w+ when it had moved on"), N_("somebody was faster")),
    (re.compile(r"the link is over: \w+"), N_("the link is over")),
)

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

ALTERED = N_("Entry altered: it can no longer be read")


@dataclass(frozen=True, slots=True)
class Line:
    """One event. `role` and `what` are message ids; `site` is the name of the centre of somebody of another one."""

    hour: str
    exact: str
    iso: str
    who: str
    role: str
    site: str
    what: str
    case_id: str | None
    accession: str | None
    slide_name: str | None
    details: str
    outcome: Outcome
    seq: int | None
    id: str
    altered: bool = False
    """It was altered past the program; `what` says so, and nothing else of it is known."""


@dataclass(frozen=True, slots=True)
class Day:
    name: str
    lines: Sequence[Line]


def line(
    row: AuditRow, timezone: ZoneInfo, language: Language, translate: Translate, elsewhere: Mapping[str, str]
) -> Line:
    """The row in words; `elsewhere` names the other centres. Erased names and particulars are said to be erased."""
    if row.act is None:
        return Line("", "", "", "", "", "", ALTERED, None, None, None, "", row.outcome, None, "", altered=True)
    when = moments.at(row.recorded_us, timezone)
    if row.agent_name:
        who = row.agent_name
    elif row.agent_kind in ("member", "agent"):
        who = translate(N_("(erased)"))
    else:
        who = translate(AGENTS.get(row.agent_kind, row.agent_kind))
    role = ROLES[Role(row.agent_role)] if row.agent_role else AGENTS["agent"] if row.agent_kind == "agent" else ""
    known = {**row.detail, **(row.personal or {})}
    if row.purpose:
        known["purpose"] = translate(PURPOSES[Purpose(row.purpose)])
    if known.get("asked") in ASKED:
        known["asked"] = translate(ASKED[Action(known["asked"])])
    if row.agent_kind == "member":
        known.pop("login", None)  # whose it is stands in `who` already
    told = ((word, known[key]) for key, word in DETAILS.items() if known.get(key))
    return Line(
        hour=f"{when:%H:%M:%S}",
        exact=moments.exactly(row.recorded_us, timezone, language),
        iso=when.isoformat(timespec="milliseconds"),
        who=who,
        role=role,
        site=elsewhere.get(row.agent_site_id or "", ""),
        what=ACTS[row.act],
        case_id=row.case_id,
        accession=row.accession,
        slide_name=" ".join(filter(None, (row.slide_stain, row.slide_block))) or row.slide_name,
        details=" · ".join(f"{translate(word)} {reason(value, translate)}" for word, value in told),
        outcome=row.outcome,
        seq=row.seq,
        id=row.id,
    )


def reason(code: str, translate: Translate) -> str:
    """Why something was refused, in a reader's words; what is no such code, as it is."""
    for pattern, message in MOVED_ON:
        if pattern.fullmatch(code):
            return translate(message)
    return translate(REASONS.get(code, code))


def days(lines: Iterable[Line], rows: Sequence[AuditRow], timezone: ZoneInfo, language: Language) -> list[Day]:
    """The lines under the name of their day, in the order given."""
    grouped: dict[str, list[Line]] = {}
    name = ""
    for entry, row in zip(lines, rows, strict=True):
        if not entry.altered or not name:  # what can no longer be read stands where it was found
            name = "–" if entry.altered else moments.name_of_day(row.recorded_us, timezone, language)
        grouped.setdefault(name, []).append(entry)
    return [Day(name, members) for name, members in grouped.items()]


def csv_text(lines: Iterable[Line], language: Language, translate: Translate) -> Iterator[str]:
    """The lines as CSV, the head first."""
    heads = (
        N_("Time"),
        N_("Who"),
        N_("Role"),
        N_("Action"),
        N_("Case number"),
        N_("Slide"),
        N_("Particulars"),
        N_("Result"),
        N_("Entry"),
        N_("Event"),
    )
    rows = (
        (
            entry.iso,
            f"{entry.who}, {entry.site}" if entry.site else entry.who,
            translate(entry.role) if entry.role else "",
            translate(entry.what),
            entry.accession or "",
            entry.slide_name or "",
            entry.details,
            translate(OUTCOMES[entry.outcome]),
            "" if entry.seq is None else str(entry.seq),
            entry.id,
        )
        for entry in lines
    )
    return csv_of([translate(head) for head in heads], rows, language)


def csv_of(heads: Sequence[str], rows: Iterable[Sequence[str]], language: Language) -> Iterator[str]:
    """A table as CSV, a chunk a row. French spreadsheets expect semicolons; a byte order mark tells them that it is
    UTF-8; no cell can be taken for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";" if language is Language.FR else ",", lineterminator="\r\n")
    buffer.write("\ufeff")
    writer.writerow(heads)
    for row in rows:
        yield _taken(buffer)
        writer.writerow([plain_cell(cell) for cell in row])
    yield _taken(buffer)


def in_pieces(lines: Iterable[str], length: int = 1 << 16) -> Iterator[str]:
    """The lines joined to pieces that are worth a write each."""
    piece: list[str] = []
    waiting = 0
    for each in lines:
        piece.append(each)
        waiting += len(each)
        if waiting >= length:
            yield "".join(piece)
            piece, waiting = [], 0
    if piece:
        yield "".join(piece)


def plain_cell(text: str) -> str:
    """The text, made harmless to a spreadsheet: what looks like a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
