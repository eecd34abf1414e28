"""Many events and many shares at once, as years of a busy site would leave them, for either engine.

The rows go past the functions of `sharing`, a hundred times as fast; the seals are true, so that the chain verifies. A
site of its own holds them, with people who do the same things every day: the same seed makes the same rows.
"""

import base64
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from sharing import chain, entries, sites
from sharing.audit import canonical_json, commitment
from sharing.db.engine import Database, Session
from sharing.db.tables import AuditSealRow
from sharing.subjects import Member
from sharing.vocabulary import Act, Purpose, Role, SiteId

SITE, NEIGHBOURS = SiteId("metz"), (SiteId("nancy"), SiteId("reims"), SiteId("dijon"))
ORGANS = ("Sein", "Peau", "Foie", "Côlon", "Estomac", "Poumon", "Prostate", "Rein", "Thyroïde", "Utérus")
PEOPLE, CASES = 40, 20_000
BATCH = 50_000
YEARS_US = 3 * 365 * 86_400 * 1_000_000
HOUR_US = 3_600_000_000
ACTS = (
    (Act.SLIDE_OPENED, 60),
    (Act.CASE_OPENED, 20),
    (Act.SLIDE_RECEIVED, 6),
    (Act.SLIDE_REGISTERED, 6),
    (Act.SESSION_OPENED, 4),
    (Act.AUDIT_READ, 2),
    (Act.CONSULTATION_REQUESTED, 1),
    (Act.ACCESS_REFUSED, 0.5),
    (Act.LINK_REVOKED, 0.02),
)
"""What happens, and how often."""
ABOUT_SLIDES = frozenset({Act.SLIDE_OPENED, Act.CASE_OPENED, Act.SLIDE_RECEIVED, Act.SLIDE_REGISTERED})
PASSWORD_HASH = "$argon2id$v=19$m=19456,t=2,p=1$9uWfHlpS6cSmkidr1b3PEA$xTno08AC1M/E/9qOG0mW0HrIsuvpW1tGoScus/99i28"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filled:
    manager: Member
    people: tuple[Member, ...]
    cases: tuple[str, ...]
    first_us: int
    last_us: int


def fill(database: Database, *, events: int, shares: int, cases: int = CASES, seed: int = 7) -> Filled:
    """Found the site, and put that many events, shares and cases into the database, up to now. Nobody else writes."""
    chance = random.Random(seed)
    with database.writing() as session:
        for site in (SITE, *NEIGHBOURS):
            sites.add_site(session, site, site.capitalize())
        people = tuple(_member(session, SITE, f"Pathologiste {number}", Role.PATHOLOGIST) for number in range(PEOPLE))
        others = [_member(session, site, f"Confrère de {site}", Role.PATHOLOGIST) for site in NEIGHBOURS]
        manager = _member(session, SITE, "Responsable", Role.LAB_MANAGER)
        now_us = session.now_us
    chain.seal(database)
    with database.reading() as session:
        head = session.execute(
            select(AuditSealRow.seq, AuditSealRow.hash).filter_by(site_id=SITE).order_by(AuditSealRow.seq.desc())
        ).first()
    assert head
    first_us = now_us - YEARS_US
    case_ids = [_id(chance) for _ in range(cases)]
    slides = [_id(chance) for _ in range(2 * cases)]
    _put(database, "case_", (_case(chance, case, number, first_us) for number, case in enumerate(case_ids)))
    _put(database, "slide", (_slide(slide, case_ids[n // 2], n, first_us) for n, slide in enumerate(slides)))
    made = [_share(chance, case_ids, slides, people, others, now_us) for _ in range(shares)]
    for table in ("consultation", "consultation_slide", "link", "link_slide"):
        _put(database, table, (rows[table] for rows in made if table in rows))
    happened = _events(chance, events, people, case_ids, slides, first_us, head.seq, head.hash)
    while rows := list(islice(happened, BATCH)):
        for table in ("audit_event", "audit_personal", "audit_seal"):
            _put(database, table, (row[table] for row in rows))
    if database.engine.dialect.name == "postgresql":
        with database.connect_for_schema() as connection:
            for table in ("audit_event", "audit_personal", "audit_seal", "case_", "slide", "consultation", "link"):
                connection.exec_driver_sql(f"ANALYZE {table}")
    return Filled(manager, people, tuple(case_ids), first_us, now_us)


def _events(
    chance: random.Random,
    count: int,
    people: Sequence[Member],
    cases: Sequence[str],
    slides: Sequence[str],
    first_us: int,
    after: int,
    head: str,
) -> Iterator[dict[str, Row]]:
    """Event, personal part and seal, one after the other, evenly over the years."""
    acts = chance.choices([act for act, _ in ACTS], [weight for _, weight in ACTS], k=count)
    step = YEARS_US // (count + 1)
    for number, act in enumerate(acts):
        seq = after + number + 1
        # A few people do most of it.
        who, glass = people[int(len(people) * chance.random() ** 2)], chance.randrange(len(slides))
        at_us, about = first_us + number * step, act in ABOUT_SLIDES
        things = [{"id": slides[glass], "kind": "slide"}, {"id": cases[glass // 2], "kind": "case"}] if about else []
        salt, body = f"{chance.getrandbits(256):064x}", canonical_json({"agent_name": who.name})
        event: Row = {
            "id": _id(chance),
            "version": 1,
            "site_id": SITE,
            "recorded_us": at_us,
            "type": act.type.value,
            "act": act.value,
            "action": act.code.value,
            "outcome": "refused" if act is Act.ACCESS_REFUSED else "success",
            "agent_kind": "member",
            "agent_id": who.id,
            "agent_site_id": SITE,
            "agent_role": who.role.value,
            "purpose": None,
            "entities": canonical_json(things),
            "detail": "{}",
            "commitment": commitment(salt, body),
            "case_id": cases[glass // 2] if about else None,
            "slide_id": slides[glass] if about else None,
        }
        sealed_us = at_us + 500_000
        link = entries.link_hash(head, seq, sealed_us, entries.leaf_hash(SimpleNamespace(**event)))
        yield {
            "audit_event": event,
            "audit_personal": {"event_id": event["id"], "salt": salt, "body": body},
            "audit_seal": {
                "site_id": SITE,
                "seq": seq,
                "event_id": event["id"],
                "sealed_us": sealed_us,
                "prev_hash": head,
                "hash": link,
            },
        }
        head = link


def _share(
    chance: random.Random,
    cases: Sequence[str],
    slides: Sequence[str],
    people: Sequence[Member],
    others: Sequence[Member],
    now_us: int,
) -> dict[str, Row]:
    """Of five, three are asked of a neighbour, one is asked by one, and one is a link."""
    number, way = chance.randrange(len(cases)), chance.randrange(5)
    maker, other = people[int(len(people) * chance.random() ** 2)], chance.choice(others)
    created_us = now_us - chance.randrange(YEARS_US)
    opened_us = created_us + chance.randrange(48 * HOUR_US) if chance.random() < 0.9 else None
    opened_us = opened_us if opened_us and opened_us < now_us else None
    over = created_us < now_us - 30 * 24 * HOUR_US
    common = {
        "id": _id(chance),
        "case_id": cases[number],
        "purpose": chance.choice(list(Purpose)).value,
        "slide_id": slides[2 * number],
        "view": "",
        "created_us": created_us,
        "opened_us": opened_us,
    }
    if way == 4:
        link = {
            **common,
            "reference": f"L-{chance.getrandbits(40):x}",
            "site_id": SITE,
            "maker_id": maker.id,
            "secret_hash": "0" * 64,
            "reason": "Avis d’un confrère",
            "max_uses": 5,
            "uses": 1 if opened_us else 0,
            "expires_us": created_us + 30 * 24 * HOUR_US,
            "revoked_us": created_us + 50 * HOUR_US if over and chance.random() < 0.1 else None,
            "revoked_by": None,
            "recipient": None,
        }
        shown = {"link_id": link["id"], "slide_id": slides[2 * number], "number": 1, "sha256": None, "version": None}
        return {"link": link, "link_slide": shown}
    asker, asked = (other, maker) if way == 3 else (maker, other)
    answered_us = opened_us + chance.randrange(72 * HOUR_US) if opened_us else None
    consultation = {
        **common,
        "reference": f"A-{chance.getrandbits(40):x}",
        "site_id": asker.site_id,
        "requester_id": asker.id,
        "to_site_id": asked.site_id,
        "to_member_id": asked.id,
        "taken_by": asked.id,
        "question": "?",
        "urgency": "routine",
        "state": "closed" if over else "answered" if answered_us else "requested",
        "moves": 3,
        "moved_by": asker.id,
        "moved_us": created_us,
        "answered_us": answered_us,
        "ended_us": created_us + 200 * HOUR_US if over else None,
    }
    shown = {"consultation_id": consultation["id"], "slide_id": slides[2 * number], "number": 1}
    return {"consultation": consultation, "consultation_slide": shown}


def _case(chance: random.Random, case: str, number: int, first_us: int) -> Row:
    return {
        "id": case,
        "site_id": SITE,
        "accession": f"24M{number:06}",
        "patient_name": f"INVENTÉ Patient {number}",
        "patient_birth_year": 1930 + number % 80,
        "patient_sex": "F",
        "organ": chance.choice(ORGANS),
        "search_text": f"24m{number:06} invente patient {number}",
        "registered_us": first_us + number,
        "patient_key": f"{number:064x}",
    }


def _slide(slide: str, case: str, number: int, first_us: int) -> Row:
    return {
        "id": slide,
        "site_id": SITE,
        "case_id": case,
        "state": "ready",
        "sha256": f"{number:064x}",
        "length": 1_000_000,
        "file_name": f"{number}.svs",
        "stain": "HES",
        "block": "A1",
        "has_label": True,
        "has_macro": True,
        "received_us": first_us + number,
    }


def _member(session: Session, site: SiteId, name: str, role: Role) -> Member:
    login = name.lower().replace(" ", ".").replace("è", "e")
    sites.add_member(session, site, login=login, name=name, role=role, password_hash=PASSWORD_HASH)
    account = sites.member_by_login(session, login)
    assert account
    return account.member


def _id(chance: random.Random) -> str:
    return base64.b32encode(chance.randbytes(16)).decode("ascii").rstrip("=").lower()


def _put(database: Database, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """By the quickest way that each engine has."""
    found = list(rows)
    if not found:
        return
    columns = ", ".join(found[0])
    with database.connect_for_schema() as connection:
        cursor = connection.connection.cursor()
        if database.engine.dialect.name == "sqlite":
            marks = ", ".join("?" * len(found[0]))
            cursor.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})", [tuple(row.values()) for row in found]
            )
            return
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in found:
                copy.write_row(tuple(row.values()))
