"""Programs for tests of executors, well-behaved ones and others."""

import ctypes
import importlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tuner.protocol import Verdict
from tuner.states import Reason
from tuner.trial import Context, Outcome

Payload = Mapping[str, Any]

#: The process that imported this module.
IMPORTED_BY = os.getpid()


def returns(payload: Payload, context: Context) -> Outcome:
    """Succeeds with the value and the facts it was given."""
    return Outcome.succeeded(payload.get("value", 1.0), payload.get("facts"))


def reports(payload: Payload, context: Context) -> Outcome:
    """Reports steps until it has enough or is told to end; its facts are the verdicts."""
    verdicts = []
    for step in range(1, payload["steps"] + 1):
        context.report(step, {"loss": 1.0 / step})
        verdicts.append(context.verdict(step))
        if context.stop_reason is not None:
            return Outcome.stopped(context.stop_reason)
        if verdicts[-1] is Verdict.PRUNE:
            return Outcome.pruned(1.0 / step, {"verdicts": verdicts})
    return Outcome.succeeded(1.0 / payload["steps"], {"verdicts": verdicts})


def saves(payload: Payload, context: Context) -> Outcome:
    """Writes while the scheduler thinks, as a trainer does."""
    context.report(1, {"loss": 0.5})
    context.saved(1, "1/2/3.safetensors", 1234, best=True)
    context.verdict(1)
    return Outcome.succeeded(0.5)


def says_how_far(payload: Payload, context: Context) -> Outcome:
    """Takes a long way to its first report, and tells so until it is asked to stop."""
    for done in range(1, payload["parts"] + 1):
        if context.progress(1, done, payload["parts"], {"loss": 1.0 / done}) is Verdict.STOP:
            assert context.stop_reason is not None
            return Outcome.stopped(context.stop_reason)
    return Outcome.succeeded(1.0)


def waits(payload: Payload, context: Context) -> Outcome:
    """Never ends by itself."""
    context.report(1, {"pid": os.getpid()})
    context.verdict(1)
    return waits(payload, context)


def raises(payload: Payload, context: Context) -> NoReturn:
    raise ValueError(payload["text"])


def calls_exit(payload: Payload, context: Context) -> NoReturn:
    sys.exit(payload["code"])


def returns_nothing(payload: Payload, context: Context) -> None:
    return None


def diverges(payload: Payload, context: Context) -> Outcome:
    return Outcome.succeeded(math.nan)


def finds_unspeakable(payload: Payload, context: Context) -> Outcome:
    return Outcome.succeeded(1.0, {"thread": threading.current_thread()})


def uses_scratch(payload: Payload, context: Context) -> Outcome:
    (context.scratch / "file").write_bytes(b"x" * 1000)
    return Outcome.succeeded(1.0, {"scratch": str(context.scratch)})


def _niceness_of_the_session() -> int | None:
    """That of the group Linux schedules this session as; None where it does not."""
    try:
        words = Path("/proc/self/autogroup").read_text().split()
    except OSError:
        return None
    return int(words[-1]) if words else None


def describes(payload: Payload, context: Context) -> Outcome:
    """What a process of its own looks like from the inside."""
    import torch

    if payload.get("fails"):
        return Outcome.failed(Reason.USER_ERROR, "as asked")
    facts = {
        "pid": os.getpid(),
        "imported_by": IMPORTED_BY,
        "threads": torch.get_num_threads(),
        "device": context.device,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "cuda": torch.cuda.is_initialized(),  # type: ignore[no-untyped-call]
        "nice": os.nice(0),
        "nice_as_a_session": _niceness_of_the_session(),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "stdin": sys.stdin.read(),
        "tmp": tempfile.gettempdir(),
        "scratch": str(context.scratch),
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
        "drawn": [random.random(), float(torch.rand(1)), float(np.random.rand())],
        "main": getattr(sys.modules["__main__"], "__file__", None),
    }
    return Outcome.succeeded(1.0, facts)


def computes_in_parallel(payload: Payload, context: Context) -> Outcome:
    """Uses all its threads, which hangs in a child of a process that had used its own."""
    import torch

    matrix = torch.ones(512, 512)
    return Outcome.succeeded(float((matrix @ matrix).sum() / 512**3))


def describes_too(payload: Payload, context: Context) -> Outcome:
    return describes(payload, context)


def prints(payload: Payload, context: Context) -> Outcome:
    """Speaks on every way out there is."""
    print("by print")  # noqa: T201
    print("on stderr", file=sys.stderr)  # noqa: T201
    os.write(1, b"raw \xff\xfe bytes\n")
    subprocess.run(["echo", "by a command"], check=True)
    ctypes.CDLL(None).printf(b"by C\n")
    sys.stdout.write("without a line's end")
    return Outcome.succeeded(1.0)


def floods(payload: Payload, context: Context) -> Outcome:
    os.write(1, b"head\n")
    for _ in range(payload["megabytes"]):
        os.write(1, b"\xff\x00{}\n" * (1 << 18))
    os.write(1, b"tail\n")
    return Outcome.succeeded(42.0)


def last_words(payload: Payload, context: Context) -> NoReturn:
    """Ends its process in the given way, with a word before."""
    print("last words")  # noqa: T201
    match payload["way"]:
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
    os._exit(payload["code"])


def has_children(payload: Payload, context: Context) -> Outcome:
    """Leaves a child and a daemon behind; reports their ids."""
    child = subprocess.Popen(["sleep", "1000"])
    daemon = _daemon()
    context.report(1, {"pid": os.getpid(), "child": child.pid, "daemon": daemon})
    context.verdict(1)
    return Outcome.succeeded(1.0)


def _daemon() -> int:
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            os.execvp("sleep", ["sleep", "1000"])
        os.write(write, b"%d" % pid)
        os._exit(0)
    os.wait()
    return int(os.read(read, 32))


def writes_on_the_channel(payload: Payload, context: Context) -> Outcome:
    """Foreign code that finds the channel and sends bytes of its own."""
    for link in Path("/proc/self/fd").iterdir():
        if os.path.islink(link) and os.readlink(link).startswith("socket:"):
            os.write(int(link.name), bytes.fromhex(payload["hex"]))
    return waits(payload, context)


def deaf(payload: Payload, context: Context) -> NoReturn:
    """Hears nothing and says nothing."""
    context.report(1, {})
    signal.pause()
    raise AssertionError


def imports(payload: Payload, context: Context) -> Outcome:
    """Which process imported a module, and how many threads there are to compute with."""
    import torch
    from threadpoolctl import threadpool_info

    module = importlib.import_module(payload["module"])
    blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    facts = {
        "imported_by": module.IMPORTED_BY,
        "pid": os.getpid(),
        "threads": torch.get_num_threads(),
        "blas": sorted(blas),
        "for_commands": os.environ["OMP_NUM_THREADS"],
    }
    return Outcome.succeeded(0.0, facts)


def hangs(payload: Payload, context: Context) -> Outcome:
    """Waits until it is killed."""
    while True:
        signal.pause()
