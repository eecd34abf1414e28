"""The parent's side of the sandbox: whatever a worker does, one error of ours comes out in time and nothing is left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tiler import isolation
from tiler.errors import (
    NotASlideError,
    SandboxUnavailableError,
    UnsupportedSlideError,
    WorkerDiedError,
    WorkerTimeoutError,
)
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.jpeg import frame_size
from tiler.sandbox import Limits, Sandbox, Worker
from tiler.slide import ALONE

HEAD = """
import os, signal, struct, sys, time
sys.path[:0] = sys.argv.pop(1).split(':')
def say(kind, data=b''):
    os.write(1, struct.pack('<BI', kind, len(data)) + data)
"""


class Scripted(Sandbox):
    """A sandbox whose worker is a program of the test's own instead of ours, isolated all the same."""

    def __init__(self, script: str) -> None:
        super().__init__("strict")
        self._script = script

    def _shut_in(self, task: str, files: Mapping[str, Path], arguments: Sequence[str] = ()) -> list[str]:
        return isolation.isolated(next(isolation.bubblewraps()), files, [], start=HEAD + self._script)


READY = "say(0)\n"


def children(pid: int) -> list[int]:
    """All descendants of a process."""
    try:
        direct = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return direct + [grandchild for child in direct for grandchild in children(child)]


def eventually(condition: Callable[[], bool], within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("mode", ["strict", "weak"])
def test_a_sound_slide_is_indexed(mode: str, svs_slide: Path) -> None:
    found = Sandbox(mode).index_slide(svs_slide)
    index = TileIndex(found.index_bytes)
    assert index.metadata.size == Size(2560, 1728)
    assert frame_size(found.thumbnail) == Size(512, 346)
    assert frame_size(found.label or b"") == Size(400, 440)
    assert frame_size(found.macro or b"") == Size(1280, 430)
    for picture in (found.thumbnail, found.label, found.macro):
        assert b"Exif" not in (picture or b"")
        assert b"ICC_PROFILE" not in (picture or b"")


def test_a_slide_without_label_and_macro_has_none(sandbox: Sandbox, tiff_slide: Path) -> None:
    found = sandbox.index_slide(tiff_slide)
    assert (found.label, found.macro) == (None, None)
    assert max(frame_size(found.thumbnail).width, frame_size(found.thumbnail).height) == 512


def test_the_same_slide_gives_the_same_index(sandbox: Sandbox, svs_slide: Path, svs_index: TileIndex) -> None:
    assert TileIndex(sandbox.index_slide(svs_slide).index_bytes).version == svs_index.version


def test_the_probe_says_that_it_works() -> None:
    assert Sandbox("strict").probe() is None
    assert Sandbox("weak").probe() is None


def test_without_bubblewrap_strict_says_what_to_do_and_weak_works(
    monkeypatch: pytest.MonkeyPatch, svs_slide: Path
) -> None:
    monkeypatch.setattr(isolation, "bubblewraps", lambda: iter(()))
    reason = Sandbox("strict").probe()
    assert reason
    assert "bubblewrap is not installed" in reason
    with pytest.raises(SandboxUnavailableError, match="Install bubblewrap"):
        Sandbox("strict").index_slide(svs_slide)
    assert Sandbox("weak").probe() is None


def test_a_bubblewrap_that_does_not_isolate_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, svs_slide: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    sound = list(isolation.bubblewraps())
    monkeypatch.setattr(isolation, "bubblewraps", lambda: iter([broken, *sound]))
    assert Sandbox("strict").index_slide(svs_slide).thumbnail
    monkeypatch.setattr(isolation, "bubblewraps", lambda: iter([broken]))
    assert "No permissions to create a new namespace" in (Sandbox("strict").probe() or "")


def test_both_bubblewraps_work_where_they_are_installed(svs_slide: Path) -> None:
    found = list(isolation.bubblewraps())
    assert found
    for bubblewrap in found:
        sandbox = Sandbox("strict")
        sandbox._bubblewrap = bubblewrap
        assert sandbox.index_slide(svs_slide).thumbnail


# Two of the liars stay and have to be ended, for which they are given a second; the others soon go by themselves.
DEATHS = {
    "dies at once": "os.kill(os.getpid(), signal.SIGSEGV)",
    "aborts midway": "say(1, b'x' * 100); os.abort()",
    "ends midway": "os.write(1, struct.pack('<BI', 1, 1000) + b'half'); sys.exit(0)",
    "ends without a word": "",
    "claims four gigabytes": "os.write(1, struct.pack('<BI', 1, 2**32 - 1)); time.sleep(60)",
    "speaks another language": "os.write(1, b'Segmentation fault, core dumped'); time.sleep(0.1)",
    "sends a tile instead": "say(8, b'x'); time.sleep(0.1)",
    "sends one thing twice": "say(1, b'x'); say(1, b'x'); time.sleep(0.1)",
    "asks for libraries for ever": "say(11); time.sleep(0.1)",
    "asks for libraries midway": "say(1, b'x'); say(11); time.sleep(0.1)",
    "asks for libraries with a letter": "os.write(1, struct.pack('<BI', 11, 1) + b'x'); time.sleep(0.1)",
    "is done with nothing": "say(5); time.sleep(60)",
    "forgets the index": "say(2, b'x'); say(5); time.sleep(0.1)",
    "refuses in no known form": "say(6, b'[1, 2'); time.sleep(0.1)",
    "refuses for an unknown reason": """say(6, b'{"code": "sandbox-unavailable", "sentence": "x"}'); time.sleep(0.1)""",
    "refuses with numbers": """say(6, b'{"code": "damaged", "sentence": 5}'); time.sleep(0.1)""",
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_dies_or_lies_is_one_error(death: str, svs_slide: Path) -> None:
    with pytest.raises(WorkerDiedError) as caught:
        Scripted(READY + DEATHS[death]).index_slide(svs_slide, timeout_s=30)
    assert caught.value.code == "decoder-died"
    assert caught.value.sentence.endswith(".")


def test_whoever_asks_for_libraries_gets_no_time_for_it(svs_slide: Path) -> None:
    started = time.monotonic()
    with pytest.raises(WorkerTimeoutError):
        Scripted(READY + "time.sleep(1); say(11); time.sleep(60)").index_slide(svs_slide, timeout_s=1.5)
    assert time.monotonic() - started < 10


def test_a_refusal_is_told_in_one_clean_line(svs_slide: Path) -> None:
    said = """say(6, b'{"code": "unsupported", "sentence": "Bad\\\\u202e\\\\n\\\\u0000 slide."}'); time.sleep(60)"""
    with pytest.raises(UnsupportedSlideError) as caught:
        Scripted(READY + said).index_slide(svs_slide)
    assert caught.value.sentence == "Bad    slide."


def test_a_worker_that_hangs_is_ended_with_all_its_children(svs_slide: Path) -> None:
    before = set(children(os.getpid()))
    script = (
        "import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
    )
    started = time.monotonic()
    with pytest.raises(WorkerTimeoutError) as caught:
        Scripted(READY + script).index_slide(svs_slide, timeout_s=1)
    assert time.monotonic() - started < 10
    assert caught.value.code == "decoder-timeout"
    assert eventually(lambda: not set(children(os.getpid())) - before)


def test_a_worker_dies_with_its_parent(svs_slide: Path, tmp_path: Path) -> None:
    """A server that is killed leaves no decoder behind."""
    code = (
        "import sys, time; from pathlib import Path; from tiler.sandbox import Limits, Sandbox\n"
        "worker = Sandbox('strict').start('cut'); print(worker.pid, flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert server.stdout
    pid = int(server.stdout.readline())
    assert eventually(lambda: bool(children(pid)))
    family = [pid, *children(pid)]
    server.kill()
    server.wait()
    server.stdout.close()
    assert eventually(lambda: not any(alive(one) for one in family))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_computing_time_is_limited(svs_slide: Path) -> None:
    script = "from tiler import worker; worker._limit(2**31, 1, 64)\nwhile True: pass"
    with pytest.raises(WorkerTimeoutError, match="computing time"):
        Scripted(READY + script).index_slide(svs_slide, timeout_s=60)


@pytest.mark.parametrize("script", ["", "os.abort()", "say(1, b'x'); time.sleep(60)", "say(6, b'{}')"])
def test_a_worker_that_never_was_ready_is_not_the_slides_fault(script: str, svs_slide: Path) -> None:
    with pytest.raises(SandboxUnavailableError):
        Scripted(script).index_slide(svs_slide)


def test_too_little_memory_to_start_is_not_the_slides_fault(svs_slide: Path) -> None:
    with pytest.raises(SandboxUnavailableError):
        Sandbox("weak", Limits(memory_bytes=30 * 1024**2)).index_slide(svs_slide)


def test_a_file_that_is_gone_or_no_slide_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sandbox.index_slide(tmp_path / "gone.svs")
    text = tmp_path / "text.svs"
    text.write_text("hello")
    with pytest.raises(NotASlideError, match="not a slide"):
        sandbox.index_slide(text)


def test_a_name_cannot_become_an_option_of_bubblewrap(sandbox: Sandbox, svs_slide: Path, tmp_path: Path) -> None:
    for name in ("--dev-bind", "a b\n.svs", "slide.svs;ls"):
        place = tmp_path / name
        place.write_bytes(svs_slide.read_bytes())
        assert sandbox.index_slide(place).thumbnail


def test_no_descriptor_is_left_open(sandbox: Sandbox, tmp_path: Path) -> None:
    text = tmp_path / "text.svs"
    text.write_text("hello")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(NotASlideError):
            sandbox.index_slide(text)
        with pytest.raises(WorkerDiedError):
            Scripted(READY + "os.kill(os.getpid(), signal.SIGKILL)").index_slide(text)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_worker_killed_at_any_moment_of_its_start_leaves_nobody(svs_slide: Path) -> None:
    command = isolation.isolated(
        next(isolation.bubblewraps()), {ALONE: svs_slide}, [], start="import time; time.sleep(600)"
    )
    before = set(os.listdir("/proc"))
    for number in range(100):
        worker = Worker(command)
        time.sleep(number / 10_000)
        worker.end()
    mark = str(svs_slide).encode()
    assert eventually(lambda: not [pid for pid in set(os.listdir("/proc")) - before if mark in command_line(pid)])


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
