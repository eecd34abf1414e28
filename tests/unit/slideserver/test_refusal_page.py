"""The page about refusals says what the programs say, and leaves out none of it."""

import re

from fixtures.refusal_page import PAGE, page, sentences_by_code

from ingest.agent.reasons import REASONS
from ingest.protocol import Problem
from slideserver.reasons import REASONS as SENTENCES


def test_the_page_is_what_the_programs_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m fixtures.refusal_page, in tests/"


def test_every_code_and_every_reason_stands_on_it() -> None:
    codes = set(re.findall(r"`([a-z0-9-]+)`", page()))
    assert {name.partition("-")[2] for name in REASONS} | set(Problem) <= codes
    told = {message for messages in sentences_by_code().values() for message in messages}
    assert set(SENTENCES) == told
