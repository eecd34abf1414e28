"""Figures of shares against a plain count of the shares themselves, which are listed by other statements."""

import random
from collections import Counter
from math import ceil
from statistics import median

import pytest

from benchmarks.torture_sharing import million
from sharing import share_figures, shares
from sharing.clock import MINUTE_US
from sharing.share_figures import WEEK_US
from sharing.share_search import Direction, Filters, Kind
from sharing.vocabulary import Purpose

SHARES, CASES, TRIES = 300, 60, 40


@pytest.fixture
def filled(database):
    return million.fill(database, events=0, shares=SHARES, cases=CASES)


def test_the_figures_are_those_of_a_plain_count(database, filled):
    with database.reading() as session:
        every = shares.query(session, filled.manager, limit=2 * SHARES).rows
        assert len(every) == SHARES
        sizes = set()
        for filters in chosen(random.Random(11), filled):
            asked = [share for share in every if fits(share, filters)]
            assert told(share_figures.figures(session, filled.manager, filters)) == counted(asked), filters
            sizes.add(len(asked))
    assert {0, SHARES} < sizes
    assert counted(every[1:]) != counted(every), "one share less is seen"


def chosen(chance, filled):
    """Each value alone now and then, none at all, and several together."""
    fields = {
        "direction": list(Direction),
        "kind": list(Kind),
        "site": million.NEIGHBOURS,
        "person": [person.id for person in filled.people],
        "purpose": list(Purpose),
        "organ": (*million.ORGANS, "Rate"),
        "since_us": [filled.first_us + number * WEEK_US * 20 for number in range(8)],
        "until_us": [filled.last_us - number * WEEK_US * 20 for number in range(8)],
        "opened": (True, False),
    }
    yield Filters()
    for _ in range(TRIES):
        names = chance.sample(list(fields), chance.choice((1, 1, 2, 3)))
        yield Filters(**{name: chance.choice(fields[name]) for name in names})


def fits(share, filters):
    return (
        filters.direction in (None, share.direction)
        and filters.kind in (None, share.kind)
        and filters.site in (None, share.with_site_id)
        and filters.person in (None, share.by_id)
        and filters.purpose in (None, share.purpose)
        and filters.organ in (None, share.organ)
        and filters.opened in (None, share.opened_us is not None)
        and (filters.since_us or 0) <= share.created_us < (filters.until_us or 2**62)
    )


def counted(asked):
    return {
        "count": len(asked),
        "consultations": sum(share.kind is Kind.CONSULTATION for share in asked),
        "sites": Counter(share.with_site_id or "" for share in asked),
        "people": Counter((share.by_id, share.by) for share in asked),
        "purposes": Counter(share.purpose for share in asked),
        "organs": Counter(share.organ or "" for share in asked),
        "weeks": Counter((share.created_us - monday(share.created_us), share.kind) for share in asked),
        "opening": times([share.opened_us - share.created_us for share in asked if share.opened_us is not None]),
        "answer": times([share.answered_us - share.created_us for share in asked if share.answered_us is not None]),
    }


def monday(moment_us):
    """How long it is since Monday, midnight UTC. 5 January 1970 was one."""
    return (moment_us - 4 * 24 * 60 * MINUTE_US) % WEEK_US


def times(spans_us):
    whole_us = [ceil(span_us / MINUTE_US) * MINUTE_US for span_us in spans_us]
    bounds = (*share_figures.BOUNDS_US, 2**62)
    classes = Counter(next(bound for bound in bounds if span_us <= bound) for span_us in whole_us)
    return median(whole_us) if whole_us else None, [classes[bound] for bound in bounds]


def told(figures):
    weeks = Counter()
    for week in figures.weeks:
        weeks += Counter(
            {(week.start_us, Kind.CONSULTATION): week.consultations, (week.start_us, Kind.LINK): week.links}
        )
    return {
        "count": figures.count,
        "consultations": figures.consultations,
        "sites": figures.sites,
        "people": {(who, name): number for who, (name, number) in figures.people.items()},
        "purposes": figures.purposes,
        "organs": figures.organs,
        "weeks": +weeks,
        **{
            name: (of.median_us, [number for _, number in of.classes])
            for name, of in (("opening", figures.opening), ("answer", figures.answer))
        },
    }
