"""Programs of trials that end in each of the ways there are, with a word in the log before."""

import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from tuner.protocol import Verdict
from tuner.states import Reason
from tuner.trial import Context, Outcome

Payload = Mapping[str, Any]

LAST_WORDS = "these are the last words"
#: More than a log's first part takes, so that its end is what it has to keep.
FLOOD_BYTES = 3 << 20


def _say() -> None:
    for _ in range(FLOOD_BYTES >> 20):
        os.write(1, b"line of a log\n" * ((1 << 20) // 14))
    print(LAST_WORDS)  # noqa: T201


def is_killed(payload: Payload, context: Context) -> NoReturn:
    _say()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def aborts(payload: Payload, context: Context) -> NoReturn:
    _say()
    os.abort()


def asks_pytorch_for_too_much_memory(payload: Payload, context: Context) -> NoReturn:
    _say()
    _leave_little_memory()
    torch.ones(1 << 28)
    raise AssertionError


def asks_python_for_too_much_memory(payload: Payload, context: Context) -> NoReturn:
    _say()
    _leave_little_memory()
    bytearray(1 << 30)
    raise AssertionError


def _leave_little_memory() -> None:
    """64 MiB more than this process has already."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fills_the_disk(payload: Payload, context: Context) -> NoReturn:
    _say()
    with open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    raise AssertionError


def finds_no_whole_checkpoint(payload: Payload, context: Context) -> Outcome:
    _say()
    return Outcome.failed(Reason.CHECKPOINT_CORRUPT, "No checkpoint is whole.")


def runs_out_of_gpu_memory(payload: Payload, context: Context) -> NoReturn:
    _say()
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def errs_on_the_gpu(payload: Payload, context: Context) -> NoReturn:
    _say()
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")


def diverges(payload: Payload, context: Context) -> Outcome:
    _say()
    return Outcome.succeeded(float("nan"))


def cannot_be(payload: Payload, context: Context) -> Outcome:
    _say()
    return Outcome.failed(Reason.INFEASIBLE, "There is no such network.")


def raises(payload: Payload, context: Context) -> NoReturn:
    _say()
    raise ValueError("as users' code does")


def leaves_by_the_back_door(payload: Payload, context: Context) -> NoReturn:
    _say()
    sys.stdout.flush()
    os._exit(0)


def leaves_by_the_front_door(payload: Payload, context: Context) -> NoReturn:
    _say()
    sys.exit(0)


def is_done_too_early(payload: Payload, context: Context) -> Outcome:
    _say()
    return Outcome.pruned(0.1)


def hangs(payload: Payload, context: Context) -> NoReturn:
    _say()
    context.progress(1, 1, 100, {})
    signal.pause()
    raise AssertionError


def goes_on(payload: Payload, context: Context) -> Outcome:
    """Reports until it is told to stop."""
    _say()
    step = 0
    while True:
        step += 1
        context.report(step, {payload["metric"]: 0.5})
        if context.verdict(step) is Verdict.STOP and context.stop_reason is not None:
            return Outcome.stopped(context.stop_reason)
