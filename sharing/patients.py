"""Patients, as far as a register needs them: the cases of a site that agree in name, year of birth and sex.

There is no table of patients: a laboratory's number names a case. Who looks after objections finds a patient by any of
the cases, and is shown those of nearly the same identity, which may be the same person's under another spelling.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from sqlalchemy import and_, or_, select

from sharing import cases, policy, text
from sharing.cases import Case
from sharing.db.engine import Session
from sharing.db.tables import CaseRow, ObjectionRow
from sharing.subjects import Member
from sharing.vocabulary import Action, CaseId, Entity, Purpose

SIMILAR = 0.8
"""From which ratio of common letters on two names are told to be alike: "DUPONT Marie" and "DUPOND Marie" are."""
MOST_LOOKED_AT = 5000


@dataclass(frozen=True, slots=True)
class Patient:
    key: str
    """`text.patient_key`"""
    name: str
    birth_year: int | None
    sex: str | None
    """Patient's Sex (0010,0040): F, M or O."""
    cases: tuple[Case, ...]
    """Newest first; never empty."""
    objects_to: frozenset[Purpose]

    @property
    def slides(self) -> int:
        return sum(len(case.slides) for case in self.cases)


def find(session: Session, subject: Member, words: str, *, limit: int = 50) -> list[Patient]:
    """The patients of the subject's site one of whose cases has every word in its number, name or organ, those with
    the newest cases first. None for less than two letters. Raises RefusedError if the role may not.
    """
    policy.require(session, subject, Action.VIEW_OBJECTIONS, subject, Entity("site", subject.site_id))
    folded = text.folded(words)
    if len(folded) < 2:
        return []
    statement = policy.objectionable_cases(subject).with_only_columns(CaseRow.patient_key)
    for word in folded.split():
        statement = statement.where(CaseRow.search_text.contains(word, autoescape=True))
    # One patient may have many cases: some more are read than are wanted, then counted by patient.
    newest = statement.order_by(CaseRow.registered_us.desc(), CaseRow.id).limit(10 * limit)
    keys = list(dict.fromkeys(session.scalars(newest)))[:limit]
    return with_keys(session, subject, keys)


def of_case(session: Session, subject: Member, case_id: CaseId) -> Patient:
    """The patient of a case. Raises NotFoundError or RefusedError if it is not the subject's to ask."""
    row = session.get(CaseRow, case_id)
    if row is None:
        raise policy.absent("case")
    policy.require(session, subject, Action.REGISTER_OBJECTION, row, Entity("case", case_id))
    return with_keys(session, subject, [row.patient_key])[0]


def alike(session: Session, subject: Member, patient: Patient) -> list[Patient]:
    """Others of the site who may be the same person: of one name, or of nearly one name and no other year of birth."""
    words = [CaseRow.search_text.contains(word, autoescape=True) for word in text.folded(patient.name).split()]
    # Who is of another year is compared by the whole name alone, so the database need not hand out the rest.
    near = and_(*words)
    if patient.birth_year is None:
        near = or_(*words)
    else:
        near |= CaseRow.patient_birth_year.is_(None) & or_(*words)
        near |= CaseRow.patient_birth_year == patient.birth_year
    rows = session.execute(
        policy.objectionable_cases(subject)
        .with_only_columns(CaseRow.patient_key, CaseRow.patient_name, CaseRow.patient_birth_year)
        .where(CaseRow.patient_key != patient.key, near)
        .distinct()
        .limit(MOST_LOOKED_AT)
    )
    keys = [
        row.patient_key
        for row in rows
        if nearly_same(patient.name, patient.birth_year, row.patient_name, row.patient_birth_year)
    ]
    return with_keys(session, subject, list(dict.fromkeys(keys)))


def nearly_same(name: str, birth_year: int | None, other: str, other_year: int | None) -> bool:
    """Whether two identities may be one person's, written down twice."""
    words, others = text.name_words(name), text.name_words(other)
    if words == others:
        return True
    if birth_year != other_year and birth_year is not None and other_year is not None:
        return False
    if min(len(words), len(others)) > 1 and (set(words) <= set(others) or set(others) <= set(words)):
        return True
    letters = SequenceMatcher(None, " ".join(words), " ".join(others), autojunk=False)
    # The first two are never less than the third, and far quicker.
    return all(ratio() >= SIMILAR for ratio in (letters.real_quick_ratio, letters.quick_ratio, letters.ratio))


def with_keys(session: Session, subject: Member, keys: Iterable[str]) -> list[Patient]:
    """The patients of these keys at the subject's site, in the order given."""
    wanted = list(keys)
    statement = policy.objectionable_cases(subject).where(CaseRow.patient_key.in_(wanted))
    rows = session.scalars(statement.order_by(CaseRow.registered_us.desc(), CaseRow.id)).all()
    told = cases.known(session, [row.id for row in rows])
    standing = session.execute(
        select(ObjectionRow.patient_key, ObjectionRow.purpose).where(
            ObjectionRow.site_id == subject.site_id,
            ObjectionRow.patient_key.in_(wanted),
            ObjectionRow.withdrawn_us.is_(None),
        )
    ).all()
    found = []
    for key in wanted:
        mine = [row for row in rows if row.patient_key == key]
        if mine:
            newest = mine[0]
            found.append(
                Patient(
                    key=key,
                    name=newest.patient_name,
                    birth_year=newest.patient_birth_year,
                    sex=newest.patient_sex,
                    cases=tuple(told[row.id] for row in mine),
                    objects_to=frozenset(Purpose(row.purpose) for row in standing if row.patient_key == key),
                )
            )
    return found
