"""What a lab manager asks of a million events and a hundred thousand shares, on both engines; and their verification.

The functions are asked that the pages ask, with every filter alone and with some together, in an order that chance
decides. Before that, answers are held against a plain walk over the rows, or the times prove nothing. The control is a
question that no index serves: it must take longer than the limit, or the limit is none.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator

from sqlalchemy import Text, cast, distinct, func, select

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing import million
from benchmarks.torture_sharing.million import Filled
from benchmarks.torture_sharing.proving import prove
from benchmarks.torture_sharing.stage import ENGINES, empty_database
from sharing import audit_search, share_figures, shares
from sharing.db.engine import Database, Session
from sharing.db.tables import AuditEventRow, AuditPersonalRow
from sharing.share_search import Direction, Filters, Kind, matching
from sharing.vocabulary import Act, CaseId, Outcome, Purpose, SiteId

EVENTS, SHARES, ROUNDS = 1_000_000, 100_000, 8
LIMIT_MS, VERIFY_LIMIT_S = 300.0, 15.0
MONTH_US = 30 * 24 * million.HOUR_US

Question = tuple[str, Callable[[Session], object]]


def run(plan: Plan) -> Result:
    chance, times, proofs, notes, void = random.Random(plan.seed), [], [], [], []
    wrong = 0
    for engine in ENGINES:
        with empty_database(engine, plan.folder) as database:
            began = time.monotonic()
            filled = million.fill(database, events=plan.times(EVENTS), shares=plan.times(SHARES), seed=plan.seed)
            notes.append(f"{engine}: {plan.times(EVENTS)} events, made in {time.monotonic() - began:.0f} s")
            wrong += _wrong(database, filled)
            asked = [each for _ in range(ROUNDS) for each in _questions(chance, filled)]
            chance.shuffle(asked)
            slowest: dict[str, float] = {}
            for name, ask in asked:
                took = _took_ms(database, ask)
                times.append(took)
                slowest[name] = max(took, slowest.get(name, 0))
            worst = sorted(slowest.items(), key=lambda each: -each[1])[:4]
            notes.append(f"{engine}: slowest " + ", ".join(f"{name} {took:.0f} ms" for name, took in worst))
            if plan.share >= 1 and _took_ms(database, _at_all) < LIMIT_MS:
                void.append(f"a question on {engine} that no index serves")
            proof = prove(database)
            proofs.append(proof)
            notes.append(
                f"{engine}: {proof.entries} entries verified in {proof.verified_s:.1f} s on {os.cpu_count()} cores; "
                f"exported in {proof.exported_s:.1f} s, verified in {proof.file_s:.1f} s by the single file"
            )
            if not proof.whole:
                void.append(f"a log on {engine} that nobody touched")
    p95, verify_s = statistics.quantiles(times, n=100)[94], max(proof.verified_s for proof in proofs)
    return Result(
        figures={
            "audit.query_1m_p95_ms": round(p95, 1),
            "audit.query_1m_wrong": wrong,
            "audit.verify_1m_s": round(verify_s, 1),
            "audit.verify_file_1m_s": round(max(proof.file_s for proof in proofs), 1),
        },
        failed=p95 > LIMIT_MS or wrong > 0 or verify_s > VERIFY_LIMIT_S,
        notes=tuple(notes),
        void=tuple(void),
    )


def _questions(chance: random.Random, filled: Filled) -> Iterator[Question]:
    """One round: the journal and the shares, by each filter alone and by some together."""
    span_us = filled.last_us - filled.first_us
    since_us = filled.first_us + int(chance.random() * (span_us - 3 * MONTH_US))
    person, case = chance.choice(filled.people).id, CaseId(chance.choice(filled.cases))
    until_us = since_us + 3 * MONTH_US
    for name, events in (
        ("journal", audit_search.Filters()),
        ("journal by act", audit_search.Filters(act=chance.choice([act for act, _ in million.ACTS]))),
        ("journal by an act that never was", audit_search.Filters(act=Act.MAIL_SENT)),
        ("journal of refusals", audit_search.Filters(outcome=Outcome.REFUSED)),
        ("journal by person", audit_search.Filters(agent_id=person)),
        ("journal by person and act", audit_search.Filters(agent_id=person, act=Act.LINK_REVOKED)),
        ("journal by person, refused", audit_search.Filters(agent_id=person, outcome=Outcome.REFUSED)),
        ("journal by case", audit_search.Filters(case_id=case)),
        ("journal by quarter", audit_search.Filters(since_us=since_us, until_us=until_us)),
        ("journal by quarter and act", audit_search.Filters(since_us, until_us, Act.CONSULTATION_REQUESTED)),
    ):
        yield name, lambda session, events=events: audit_search.read(session, filled.manager, events)  # type: ignore[misc]
    for name, asked in (
        ("shares", Filters(direction=Direction.OUT)),
        ("shares both ways", Filters()),
        ("shares coming in", Filters(direction=Direction.IN)),
        ("shares by centre", Filters(site=SiteId(chance.choice(million.NEIGHBOURS)))),
        ("shares by person", Filters(person=person)),
        ("shares by purpose", Filters(purpose=chance.choice(list(Purpose)))),
        ("shares by organ", Filters(organ=chance.choice(million.ORGANS))),
        ("shares by quarter", Filters(direction=Direction.OUT, since_us=since_us, until_us=until_us)),
        ("links", Filters(kind=Kind.LINK)),
        ("shares never opened", Filters(opened=False)),
        ("shares by three", Filters(person=person, purpose=Purpose.CARE, organ="Peau")),
    ):
        yield name, lambda session, asked=asked: shares.query(session, filled.manager, asked)  # type: ignore[misc]
        yield (
            f"figures of {name}",
            lambda session, asked=asked: share_figures.figures(session, filled.manager, asked),  # type: ignore[misc]
        )
    yield "shares of a case", lambda session: shares.of_case(session, filled.manager, case)


def _took_ms(database: Database, ask: Callable[[Session], object]) -> float:
    with database.reading() as session:
        began = time.perf_counter()
        ask(session)
        return (time.perf_counter() - began) * 1000


def _wrong(database: Database, filled: Filled) -> int:
    """How many answers are others than a walk over all rows gives."""
    wrong = 0
    with database.reading() as session:
        event = AuditEventRow
        rows = session.execute(
            select(event.position, event.act, event.outcome, event.agent_id, event.case_id)
            .where(event.site_id == million.SITE)
            .order_by(event.recorded_us.desc(), event.position.desc())
        ).all()
        case, person = filled.cases[1], filled.people[3].id
        for events, keeps in (
            (audit_search.Filters(), lambda row: True),
            (audit_search.Filters(act=Act.LINK_REVOKED), lambda row: row.act == "link.revoked"),
            (audit_search.Filters(outcome=Outcome.REFUSED), lambda row: row.outcome == "refused"),
            (audit_search.Filters(agent_id=person), lambda row: row.agent_id == person),
            (audit_search.Filters(case_id=CaseId(case)), lambda row: row.case_id == case),
        ):
            told = [row.position for row in audit_search.read(session, filled.manager, events).rows]
            wrong += told != [row.position for row in rows if keeps(row)][: len(told) if len(told) == 100 else None]
        for asked in (Filters(), Filters(direction=Direction.IN), Filters(kind=Kind.LINK)):
            every = [row for way in matching(million.SITE, asked) for row in session.execute(way)]
            figures = share_figures.figures(session, filled.manager, asked)
            counted = {
                "count": (figures.count, len(every)),
                "sites": (figures.sites, _counted(row.other_id or "" for row in every)),
                "people": ({i: n for i, (_, n) in figures.people.items()}, _counted(row.by_id for row in every)),
                "purposes": (figures.purposes, _counted(row.purpose for row in every)),
                "weeks": (sum(each.consultations + each.links for each in figures.weeks), len(every)),
                "organs": (sum(figures.organs.values()), len(every)),
            }
            wrong += sum(told != true for told, true in counted.values())
    return wrong


def _counted(values: Iterator[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def _at_all(session: Session) -> object:
    """How many different things stand in the personal parts: each has to be read, put beside its event and in order.
    PostgreSQL reads a million rows with several processes; this it has to do with what they found."""
    event, personal = AuditEventRow, AuditPersonalRow
    told = personal.body + event.entities + cast(event.recorded_us, Text)
    counted = select(func.count(distinct(told))).join(event, event.id == personal.event_id)
    return session.scalar(counted.where(event.site_id == million.SITE))
