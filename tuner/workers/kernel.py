"""What only the kernel can promise about processes: who dies with whom, and who inherits orphans.

Linux alone has these; elsewhere the calls do nothing, and processes end by closed channels.
"""

import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_LINUX: Final = sys.platform.startswith("linux")
# linux/prctl.h, linux/mman.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_MADV_COLLAPSE: Final = 25
_HUGE_PAGE_BYTES: Final = 2 << 20
_PRIVATE_MEMORY: Final = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s*(?:\[heap\])?$", re.MULTILINE
)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def end_with_parent(number: signal.Signals, parent: int) -> None:
    """Have the kernel send us `number` when the *thread* that forked us ends; exit if it has."""
    if _LINUX:
        _libc().prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(os.EX_OSERR)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, daemons included."""
    if _LINUX:
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The ids of this process's children, those that ended and wait to be reaped among them."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found.update(map(int, listing.read_text().split()))
    return found


def end_children() -> None:
    """Kill every descendant, and see each gone; for who adopts orphans and is alone in its process.

    Those of whom a parent ended become our own children, and go with the next round.
    """
    while strays := children():
        for pid in strays:
            os.kill(pid, signal.SIGKILL)
        for pid in strays:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def offer_to_oom_killer(extra: int) -> None:
    """Raise this process's claim to be killed first when memory runs out."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "r+b", 0) as score:
        score.write(b"%d" % min(1000, int(score.read()) + extra))


def give_way(niceness: int) -> None:
    """Let other processes run first, as far as `os.nice` says.

    A session that Linux schedules as a group has a niceness of its own, which is what counts beside
    other sessions; its leader speaks for all of it.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError), open("/proc/self/autogroup", "wb", 0) as group:
            group.write(b"%d" % niceness)


def flush_c_streams() -> None:
    """Write out what C code has printed and its library still holds back."""
    _libc().fflush(None)


def gather_memory() -> Iterator[int]:
    """Move this process's memory into huge pages, one per step, as far as the kernel allows.

    A fork copies one entry per page, so a process of 200 MB forks and its children end in a
    quarter of the time. A step costs some 10 ms, hence an iterator.
    """
    if not _LINUX:
        return
    madvise = _libc().madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for found in _PRIVATE_MEMORY.finditer(Path("/proc/self/maps").read_text()):
        start, end = (int(side, 16) for side in found.groups())
        first = -(-start // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES
        for address in range(first, end - _HUGE_PAGE_BYTES + 1, _HUGE_PAGE_BYTES):
            if madvise(address, _HUGE_PAGE_BYTES, _MADV_COLLAPSE) == 0:
                yield address
