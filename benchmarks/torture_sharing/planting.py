"""Hostile texts in every field of the database that somebody else fills in.

What the platform's own functions would refuse or trim is written past them: so the pages stand alone.
"""

import json
from typing import Any

from sqlalchemy import select, update

from benchmarks.torture_sharing.payloads import PAYLOADS, Field
from ingest.heartbeat import Heartbeat, Trouble
from sharing import audit, cases, consultations, drafts, heartbeats, links, scanners, sites
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    Base,
    CaseRow,
    ClaimRow,
    ConsultationRow,
    LinkRow,
    MemberRow,
    ScannerRow,
    SiteRow,
    SlideRow,
)
from sharing.subjects import Agent, Member, System
from sharing.vocabulary import Act, Agreement, CaseId, Entity, Move, Purpose, Role, SiteId, SlideId, SlideState, new_id

FIELDS = {
    each.name: each
    for each in (
        Field("case_.accession", "ca"),
        Field("case_.patient_name", "cb"),
        Field("case_.organ", "cc"),
        Field("slide.file_name", "da"),
        Field("slide.accession", "db"),
        Field("slide.stain", "dc"),
        Field("slide.block", "dd"),
        Field("slide.refusal_reason", "de"),
        Field("slide.format", "df"),
        Field("claim.accession", "ea"),
        Field("claim.file_name", "eb"),
        Field("claim.stain", "ec"),
        Field("claim.block", "ed"),
        Field("consultation.question", "fa"),
        Field("consultation.reference", "fb"),
        Field("consultation_move.note", "fc"),
        Field("opinion.text", "fd"),
        Field("draft.body", "fe"),
        Field("link.reason", "ga"),
        Field("link.recipient", "gb"),
        Field("link.reference", "gc"),
        Field("member.name", "ha"),
        Field("member.login", "hb"),
        Field("member.email", "hc"),
        Field("site.name", "hd"),
        Field("scanner.name", "ia"),
        Field("scanner.manufacturer", "ib"),
        Field("scanner.model", "ic"),
        Field("scanner.serial", "id"),
        Field("heartbeat.version", "ja"),
        Field("heartbeat.system", "jb"),
        Field("heartbeat.last_name", "jc"),
        Field("heartbeat.trouble", "jd"),
        Field("heartbeat.detail", "je"),
        Field("audit.file_name", "ka"),
        Field("audit.source", "kb"),
        Field("audit.login", "kc"),
        Field("audit.reason", "kd"),
        Field("audit.search", "ke"),
        Field("witness.name", "la"),
    )
}
"""Every text that somebody else fills in, by table and column (or by its place in the agent's word and in an event)."""
SCANNERS, MEMBERS, REFUSED = 40, 40, 20
NEW_CASES = "XSS"


def plant(database: Database, centres: Any, slide_id: SlideId, count: int = len(PAYLOADS)) -> None:
    """`count` cases, slides, requests, links, events… of Caen, each with another text in each field. `slide_id` is a
    slide of Caen that is ready; it lends its picture to the first."""
    with database.writing() as session:
        _things(session, centres, slide_id, count)
    with database.writing() as session:
        _people(session, centres)
        _agents(session, centres)
        _events(session, centres, count)
    with database.writing() as session:
        _overwrite(session)


def _things(session: Session, centres: Any, slide_id: SlideId, count: int) -> None:
    anne, paul, caen = centres.caen.pathologist, centres.rouen.pathologist, centres.caen.id
    pattern = dict(session.execute(select(*_columns(SlideRow)).where(SlideRow.id == slide_id)).one()._mapping)
    shown = session.scalars(select(SlideRow.case_id).where(SlideRow.id == slide_id)).one()
    for number in range(count):
        case_id = cases.register_case(
            session,
            System(),
            caen,
            accession=f"{NEW_CASES}{number:04}",
            patient_name="INVENTÉE Personne",
            patient_birth_year=1950,
            patient_sex="F",
            organ="x",
        )
        other: dict[str, Any] = {"id": SlideId(new_id()), "case_id": case_id, "sha256": new_id()}
        if number % 5 == 4:
            other |= {"case_id": None}
        if number < REFUSED:
            other |= {
                "state": SlideState.REFUSED,
                "refusal_code": "unsupported",
                "refusal_reason": "x",
                "case_id": None,
            }
        session.execute(Base.metadata.tables["slide"].insert(), pattern | other | {"accession": "x"})
        if number % 10 == 3:
            session.execute(
                Base.metadata.tables["claim"].insert(), _claim(caen, other["id"], centres.caen.agent, session)
            )
        _exchange(session, anne, paul, shown, slide_id, number)


def _exchange(
    session: Session, anne: Member, paul: Member, case_id: CaseId | None, slide_id: SlideId, number: int
) -> None:
    assert case_id
    asked = consultations.request(
        session,
        anne,
        case_id,
        to_member=paul.id,
        question=f"question {number}",
        slide_id=slide_id,
        view="c=1100,1500&m=20",
    )
    note, opinion = (FIELDS[name].payload(number) for name in ("consultation_move.note", "opinion.text"))
    consultations.move(session, paul, asked, Move.ASK, note=note)
    consultations.move(session, anne, asked, Move.REPLY, note=note)
    if number % 2:
        consultations.answer(session, paul, asked, agreement=Agreement.MINOR, text=opinion)
    else:
        drafts.save(session, paul, f"answer.{asked}", json.dumps({"text": FIELDS["draft.body"].payload(number)}))
    links.create(
        session,
        anne,
        case_id,
        [slide_id],
        purpose=Purpose.TEACHING,
        reason=f"reason {number}",
        expires_us=session.now_us + (1 + number) * 3600 * SECOND_US,
        max_uses=1,
        slide_id=slide_id,
        recipient="somebody@hopital.example",
    )


def _claim(site: SiteId, slide_id: str, agent: Agent, session: Session) -> dict[str, Any]:
    columns = {"accession": "x", "stain": "x", "block": "x", "file_name": "x", "sender": agent.scanner_id}
    return {"id": new_id(), "site_id": site, "slide_id": slide_id, "created_us": session.now_us, **columns}


def _people(session: Session, centres: Any) -> None:
    for number in range(MEMBERS):
        role = (Role.PATHOLOGIST, Role.TECHNICIAN, Role.LAB_MANAGER)[number % 3]
        for site in (centres.caen.id, centres.rouen.id):
            login = f"xss{number}.{site}"
            sites.add_member(
                session, site, login=login, name="x", role=role, password_hash="x", email="x@hopital.example"
            )


def _agents(session: Session, centres: Any) -> None:
    for number in range(SCANNERS):
        scanner_id, _ = scanners.add_scanner(
            session, centres.caen.id, f"x{number}", manufacturer="x", model="x", serial="x"
        )
        said = {
            name: FIELDS[f"heartbeat.{name}"].payload(number)
            for name in ("version", "system", "last_name", "trouble", "detail")
        }
        trouble = Trouble(said["trouble"], "changing", said["detail"], session.now_us)
        word = Heartbeat(
            said["version"], said["system"], queued=1, last_name=said["last_name"], last_us=1, troubles=(trouble,)
        )
        heartbeats.hear(session, Agent(scanner_id, centres.caen.id, "x"), sent_bytes=9, report=word.to_json())


def _events(session: Session, centres: Any, count: int) -> None:
    caen = centres.caen
    for number in range(count):
        audit.record(
            session,
            site_id=caen.id,
            act=Act.SLIDE_RECEIVED if number % 2 else Act.ACCESS_REFUSED,
            subject=caen.agent,
            entities=[Entity("case", caen.cases["26H01234"])],
            detail={"reason": FIELDS["audit.reason"].payload(number)},
            personal={
                name: FIELDS[f"audit.{name}"].payload(number) for name in ("file_name", "source", "login", "search")
            },
        )
    witness = Base.metadata.tables["witness"]
    for number in range(5):
        session.execute(
            witness.insert(),
            {
                "id": new_id(),
                "site_id": caen.id,
                "name": FIELDS["witness.name"].payload(number),
                "public_key": "00" * 32,
                "created_us": session.now_us,
            },
        )


def _overwrite(session: Session) -> None:
    """What was written with harmless words gets its hostile ones. Logins that tests sign in with stay."""
    invented: dict[Any, Any] = {
        CaseRow: CaseRow.accession.startswith(NEW_CASES),
        SlideRow: SlideRow.accession == "x",
        ClaimRow: ClaimRow.accession == "x",
        ConsultationRow: ConsultationRow.question.startswith("question "),
        LinkRow: LinkRow.reason.startswith("reason "),
        MemberRow: MemberRow.login.startswith("xss"),
        ScannerRow: ScannerRow.manufacturer == "x",
        SiteRow: SiteRow.id.is_not(None),
    }
    for row, which in invented.items():
        columns = [name.partition(".")[2] for name in FIELDS if name.startswith(f"{row.__tablename__}.")]
        ids = session.scalars(select(row.id).where(which).order_by(row.id)).all()
        for number, each in enumerate(ids):
            values = {column: FIELDS[f"{row.__tablename__}.{column}"].payload(number) for column in columns}
            session.execute(update(row).where(row.id == each).values(values))


def _columns(row: type[Base]) -> list[Any]:
    return list(row.__table__.columns)
