"""Slides to share, on both databases."""

import pytest
from fixtures.cases import Shared, add_slides


@pytest.fixture
def shared(database, centres) -> Shared:
    with database.writing() as session:
        return add_slides(session, centres.caen)
