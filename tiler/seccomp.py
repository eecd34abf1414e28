"""The system calls a decoder may make once it is running: reading what is open, memory, time, and ending.

A classic BPF filter (seccomp(2)) built here and installed by prctl(2): no native dependency. Every call that is not
listed fails with EPERM: no process, no program, no socket, no signal to others, no write to a file, no new code in
memory."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
from typing import Final, NamedTuple

from tiler.errors import SandboxUnavailableError


class Machine(NamedTuple):
    """One architecture: its audit number (linux/audit.h) and its column in `CALLS`."""

    audit: int
    column: int


MACHINES: Final = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}

# Numbers on x86_64 and aarch64 (asm/unistd.h); None where an architecture has no such call.
CALLS: Final[dict[str, tuple[int, int | None]]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "faccessat": (269, 48),
    "ppoll": (271, 73),
    "preadv": (295, 69),
    "getrandom": (318, 278),
    "statx": (332, 291),
}
_OPENAT, _MMAP, _MPROTECT, _TGKILL = (257, 56), (9, 222), (10, 226), (234, 131)

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_KILL: Final = 0x80000000
# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]
_NUMBER_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16
# Classic BPF opcodes (linux/bpf_common.h)
_LOAD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06


def install() -> None:
    """Confine this process, and every thread it may have, for good. Raises SandboxUnavailableError."""
    program = filter_program(platform.machine(), os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    count = len(program) // 8
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    descriptor = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(code)))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, descriptor, 0, 0):
        reason = os.strerror(ctypes.get_errno())
        raise SandboxUnavailableError(f"This kernel does not filter system calls ({reason}).")


def filter_program(machine: str, pid: int) -> bytes:
    """The filter as an array of struct sock_filter. Raises SandboxUnavailableError for an architecture without a
    list."""
    known = MACHINES.get(machine)
    if known is None:
        raise SandboxUnavailableError(f"There is no list of allowed system calls for {machine} processors.")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    program = [
        _step(_LOAD, _ARCH_AT),
        _step(_JUMP_EQUAL, known.audit, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    for number in (numbers[known.column] for numbers in CALLS.values()):
        if number is None:
            continue
        program += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW)]
    program += _allow_without_bits(_OPENAT[known.column], 2, writing)
    program += _allow_without_bits(_MMAP[known.column], 2, mmap.PROT_EXEC)
    program += _allow_without_bits(_MPROTECT[known.column], 2, mmap.PROT_EXEC)
    # abort(3) signals its own process; nobody else may be signalled
    program += [
        _step(_JUMP_EQUAL, _TGKILL[known.column], 0, 3),
        _step(_LOAD, _ARGS_AT),
        _step(_JUMP_EQUAL, pid, 0, 1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _REFUSE),
    ]
    return b"".join(program)


def _allow_without_bits(number: int, argument: int, bits: int) -> list[bytes]:
    """Allow a call unless one of these bits is set in an argument. The loaded number is kept when it is another
    call."""
    return [
        _step(_JUMP_EQUAL, number, 0, 5),
        _step(_LOAD, _ARGS_AT + 8 * argument),
        _step(_AND, bits),
        _step(_JUMP_EQUAL, 0, 0, 1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _REFUSE),
    ]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
