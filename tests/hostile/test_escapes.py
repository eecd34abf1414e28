"""What code could do that has taken over a decoder: nothing. Each attempt is also made where it must succeed, so that a
denial means the sandbox and not a broken attempt."""

import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures.figures import Figure
from fixtures.slides import SCAN

from tiler import isolation
from tiler.sandbox import Limits, Sandbox
from tiler.slide import ALONE

pytestmark = pytest.mark.hostile

START = """
import ctypes, json, mmap, os, resource, signal, socket, sys, threading
sys.path[:0] = sys.argv.pop(1).split(':')
layers, secret, port, attempts = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)

def call(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def connect():
    with socket.socket() as one:
        one.connect(('127.0.0.1', int(port)))

def thread():
    try:
        threading.Thread(target=int).start()
    except RuntimeError as error:
        raise OSError from error

def fork():
    if os.fork() == 0:
        os._exit(0)

def beside():
    # the other slide, through any descriptor of a directory that was left open
    folder, name = secret.split('/')[-2:]
    for number in range(64):
        there = f'/proc/self/fd/{number}'
        for path, where in ((f'{there}/../{folder}/{name}', None), (f'{there}/{name}', None), (name, number)):
            try:
                return os.close(os.open(path, os.O_RDONLY, dir_fd=where))
            except OSError:
                pass
    raise OSError

def environment_of_parent():
    with open(f'/proc/{os.getppid()}/environ', 'rb') as file:
        if b'IAIN_SECRET' not in file.read():
            raise OSError

if 'filter' in layers:
    from tiler import seccomp, worker
    worker._limit(LIMITS)
    worker._load(with_codecs='heavy' in layers)
    seccomp.install()
for name, code in json.loads(attempts).items():
    try:
        exec(code)
    except (OSError, MemoryError, ValueError):
        print(name, 'denied', sep=': ', flush=True)
    else:
        print(name, 'done', sep=': ', flush=True)
"""

NAMESPACES, FILTER, BOTH, NONE, ROOT = "namespaces", "filter", "namespaces+filter", "nothing", "root"
# As whoever decodes: a slide of several files, and all libraries loaded.
DECODING = f"{BOTH}+heavy"

# attempt → the layers that must deny it, each on its own
ATTEMPTS = {
    "read the list of accounts": ("open('/etc/passwd').read()", [NAMESPACES]),
    "read another slide": ("open(secret).read()", [NAMESPACES]),
    "read the database": ("open(os.path.dirname(secret) + '/iain.db').read()", [NAMESPACES]),
    "read a scanner's key": ("open(os.path.dirname(secret) + '/scanner.key').read()", [NAMESPACES]),
    "go beside an open descriptor": ("beside()", [NAMESPACES]),
    "read its parent's environment": ("environment_of_parent()", [NAMESPACES]),
    # where it succeeds, the shadow file is one that was laid over it
    "read the shadow file": ("open('/etc/shadow').read()", [NAMESPACES]),
    "learn the kernel's state": ("open('/proc/self/status').read()", [NAMESPACES]),
    "list the server's directory": ("os.listdir(os.path.dirname(secret))", [NAMESPACES, FILTER]),
    "connect to the network": ("connect()", [NAMESPACES, FILTER]),
    "open a socket": ("socket.socket().close()", [FILTER]),
    "start a process": ("fork()", [FILTER]),
    "start a thread": ("thread()", [FILTER]),
    "signal its parent": ("os.kill(os.getppid(), 0)", [FILTER]),
    "signal another process": ("os.kill(1, 0)", [FILTER]),
    "write a file": ("open(os.path.dirname(secret) + '/new', 'w').close()", [NAMESPACES, FILTER]),
    "overwrite its slide": ("os.open(SLIDE, os.O_RDWR)", [NAMESPACES, FILTER]),
    "make a link": ("os.symlink('/', os.path.dirname(secret) + '/link')", [NAMESPACES, FILTER]),
    "make a directory": ("os.mkdir(os.path.dirname(secret) + '/directory')", [NAMESPACES, FILTER]),
    "rename": ("os.rename(secret, secret)", [NAMESPACES, FILTER]),
    "change permissions": ("os.chmod(secret, 0o600)", [NAMESPACES, FILTER]),
    "make new code": ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)", [FILTER]),
    "make a pipe": ("os.pipe()", [FILTER]),
    "copy a descriptor": ("os.dup(0)", [FILTER]),
    "raise its limits": ("resource.setrlimit(resource.RLIMIT_CORE, (0, 0))", [FILTER]),
    "take three gigabytes": ("mmap.mmap(-1, 3 * 1024**3)", [FILTER]),
    "read a process's memory": ("call(libc.process_vm_readv(os.getpid(), None, 0, None, 0, 0))", [FILTER]),
    # where it succeeds, nothing after it is run
    "run a program": ("""os.execv(sys.executable, [sys.executable, '-c', 'print("run a program: done")'])""", [FILTER]),
}

# Only root can do these, of its own user namespace at least: there they must succeed, inside the filter must deny them.
ROOTS = {
    "mount": "call(libc.mount(b'none', b'/mnt', b'tmpfs', 0, None))",
    "new namespaces": "call(libc.unshare(0x10000000))",
    "another root": "os.chroot('/')",
    "be traced": "call(libc.ptrace(0, 0, None, None))",
}

# Only the machine's root can do these, so there is nothing to compare with.
PRIVILEGED = {
    "change the shadow file": "os.open('/etc/shadow', os.O_RDWR)",
    "write to the root": "open('/new', 'w').close()",
    "a device": "os.mknod(os.path.dirname(secret) + '/device', 0o20600, os.makedev(1, 3))",
    "load a module": "call(libc.syscall(313, 0, b'', 0))",
    "a filter of its own": "call(libc.prctl(22, 2, None))",
}


# What somebody who has taken over a decoder would want, and the attempt that stands for it.
TWELVE = {
    "another slide": "read another slide",
    "/etc/shadow": "read the shadow file",
    "the database": "read the database",
    "keys": "read a scanner's key",
    "the network": "connect to the network",
    "exec": "run a program",
    "ptrace": "be traced",
    "kill": "signal its parent",
    "mount": "mount",
    "symlink": "make a link",
    "/proc/self/fd/N/..": "go beside an open descriptor",
    "the parent's environment": "read its parent's environment",
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("slides")
    mine, other = directory / "mine.svs", directory / "other.svs"
    for path in (mine, other, directory / "iain.db", directory / "scanner.key", directory / "shadow"):
        path.write_text("pixels of a patient")
    return mine, other


@pytest.fixture(scope="module")
def open_directory(slides: tuple[Path, Path]) -> Iterator[int]:
    """The directory of all slides, open in the server, and by mistake such that programs it starts would inherit it."""
    descriptor = os.open(slides[0].parent, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(descriptor, True)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(scope="module")
def outcome(slides: tuple[Path, Path], port: int, open_directory: int) -> Callable[[str, str], str]:
    """What became of an attempt behind some layers; all attempts behind the same layers are made by one process."""

    @functools.cache
    def outcomes(layers: str) -> dict[str, str]:
        limits = Limits()
        start = START.replace("LIMITS", f"{limits.memory_bytes}, {limits.cpu_s}, {limits.open_files}")
        wanted = {name: code for name, (code, by) in ATTEMPTS.items() if layers in (*by, BOTH, NONE, DECODING)}
        if FILTER in layers:
            wanted |= ROOTS | PRIVILEGED
        if layers == ROOT:
            wanted = {**ROOTS, "read the shadow file": ATTEMPTS["read the shadow file"][0]}
        if layers == NONE:
            del wanted["read the shadow file"]
        shown = {ALONE: slides[0]} if layers != DECODING else {"a.mrxs": slides[0], "a/Slidedat.ini": slides[0]}
        seen = repr(f"/slide/{[*shown][-1]}" if "namespaces" in layers else str(slides[0]))
        codes = {name: code.replace("SLIDE", seen) for name, code in wanted.items()}
        arguments = [layers, str(slides[1]), str(port), json.dumps(codes)]
        if "namespaces" in layers:
            command = isolation.isolated(next(isolation.bubblewraps()), shown, arguments, start=start)
        else:
            command = isolation.exposed(arguments, start=start)
        if layers == ROOT:
            command = [*as_root(slides[0].parent / "shadow"), *command]
        # The shell in between is the parent whose environment there is to read.
        ran = subprocess.run(
            ["sh", "-c", '"$@"; exit $?', "sh", *command],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env={"IAIN_SECRET": "hunter2"},
            pass_fds=[open_directory] if layers == NONE else [],
        )
        lines = [line for line in ran.stdout.splitlines() if ": " in line]
        assert len(lines) >= len(codes), ran.stderr
        return dict(line.split(": ") for line in lines)

    return lambda name, layers: outcomes(layers)[name]


def as_root(shadow: Path) -> list[str]:
    """The beginning of a command that is root in a user namespace of its own, on the machine's files."""
    command = [str(next(isolation.bubblewraps())), "--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"]
    return [*command, "--dev-bind", "/", "/", "--ro-bind", str(shadow), "/etc/shadow", "--"]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_outside_the_attempt_succeeds(name: str, outcome: Callable[[str, str], str]) -> None:
    assert outcome(name, ROOT if name == "read the shadow file" else NONE) == "done"


@pytest.mark.parametrize("name", ROOTS)
def test_to_root_the_attempt_succeeds(name: str, outcome: Callable[[str, str], str]) -> None:
    assert outcome(name, ROOT) == "done"


def test_each_of_the_twelve_probes_is_denied_and_has_its_control(
    outcome: Callable[[str, str], str], figure: Figure
) -> None:
    denied = [probe for probe, name in TWELVE.items() if outcome(name, BOTH) == "denied"]
    succeeded = [
        probe
        for probe, name in TWELVE.items()
        if outcome(name, ROOT if name in ROOTS or name == "read the shadow file" else NONE) == "done"
    ]
    figure("sandbox.probes", len(TWELVE))
    figure("sandbox.escapes", len(TWELVE) - len(denied))
    assert denied == succeeded == list(TWELVE)


@pytest.mark.parametrize(
    ("name", "layers"), [(name, layer) for name, (_, layers) in ATTEMPTS.items() for layer in [*layers, BOTH]]
)
def test_inside_it_is_denied(name: str, layers: str, outcome: Callable[[str, str], str]) -> None:
    assert outcome(name, layers) == "denied"


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_is_denied_to_a_decoder_of_several_files_too(name: str, outcome: Callable[[str, str], str]) -> None:
    assert outcome(name, DECODING) == "denied"


@pytest.mark.parametrize("layers", [FILTER, BOTH, DECODING])
@pytest.mark.parametrize("name", [*ROOTS, *PRIVILEGED])
def test_what_needs_root_is_denied_even_to_root(name: str, layers: str, outcome: Callable[[str, str], str]) -> None:
    assert outcome(name, layers) == "denied"


def test_inside_there_is_one_slide_and_the_interpreter(slides: tuple[Path, Path], port: int) -> None:
    start = "import os, sys; print(sorted(os.listdir('/')), os.getuid(), dict(os.environ), open('/slide/slide').read())"
    command = isolation.isolated(next(isolation.bubblewraps()), {ALONE: slides[0]}, [], start=start)
    os.environ["IAIN_SECRET"] = "hunter2"
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    finally:
        del os.environ["IAIN_SECRET"]
    root = said.partition("]")[0]
    assert "'slide'" in root
    assert "'packages'" in root
    for absent in ("'home'", "'proc'", "'dev'", "'tmp'", "'var'", "'sys'", "'run'"):
        assert absent not in root
    assert "65534" in said
    assert "hunter2" not in said
    assert "pixels of a patient" in said


@pytest.mark.parametrize("task", ["cut", "decode"])
def test_a_worker_holds_nothing_but_its_pipes(task: str, open_directory: int) -> None:
    """Whatever the server has open, even by mistake, stays with the server; a decoder has its slide."""
    worker = Sandbox().start(task, {ALONE: SCAN} if task == "decode" else {}, codecs=task == "decode")
    try:
        pid = confined(worker.pid)
        held = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    finally:
        worker.end()
    assert {target.partition(":")[0] for target in held} <= {"pipe", "/dev/null", f"/slide/{ALONE}"}, held


def confined(pid: int) -> int:
    """The descendant of a process that runs behind the system-call filter, once there is one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        family = [pid]
        for one in family:
            family += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        for one in family:
            if "Seccomp:\t2" in Path(f"/proc/{one}/status").read_text():
                return one
        time.sleep(0.02)
    raise AssertionError("no worker came to be confined")


def test_a_cutter_sees_no_slide_at_all() -> None:
    start = "import os; print(os.path.exists('/slide'))"
    command = isolation.isolated(next(isolation.bubblewraps()), {}, [], start=start)
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_foreign_architecture_is_known_or_refused() -> None:
    from tiler import seccomp
    from tiler.errors import SandboxUnavailableError

    assert seccomp.filter_program("aarch64", 2) != seccomp.filter_program("x86_64", 2)
    with pytest.raises(SandboxUnavailableError, match="riscv64"):
        seccomp.filter_program("riscv64", 2)
    assert sys.platform == "linux"
