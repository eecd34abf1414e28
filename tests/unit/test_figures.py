"""The figures that tests print: once each, from one process or from several, also of a test that fails."""

from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.parametrize("pages", [3, 4])
def test_that_adds(figure, pages):
    figure("made.pages", pages, add=True)
    figure("made.slowest_ms", pages * 1.5)

def test_that_fails(figure):
    figure("made.leaks", 1)
    assert False
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one-process", "xdist"])
def test_figures_stand_before_the_closing_count(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(TESTS)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    result = pytester.runpytest_subprocess("-p", "fixtures.figures", *options)
    lines = [line for line in result.outlines if line.startswith("figure made.")]
    assert lines == ["figure made.leaks 1", "figure made.pages 7", "figure made.slowest_ms 6"]
    assert "1 failed, 2 passed" in result.outlines[-1]
