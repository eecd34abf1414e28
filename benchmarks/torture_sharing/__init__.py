"""PostgreSQL, the centres and their people are those of the tests: their fixtures are found from here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))
