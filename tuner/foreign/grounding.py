"""Whether a job is to have a ground, and how one is laid: see `tuner.executors.grounds`."""

import importlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import torch

from tuner.foreign.entering import enter_code

T = TypeVar("T")

#: Code that loads faster is loaded anew by each worker.
WORTH_S: Final = 0.3


def timed_import(load: Callable[[], T]) -> tuple[T, dict[str, Any]]:
    """What `load` imports, and the facts of a probe: how long it took, and whether that is to be
    done once for all workers of the job."""
    began = time.perf_counter()
    loaded = load()
    seconds = time.perf_counter() - began
    plain = threading.active_count() == 1 and not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return loaded, {"import_seconds": round(seconds, 3), "ground": seconds >= WORTH_S and plain}


def lay(ground: Mapping[str, Any]) -> bool:
    """Import a job's code in a fork server; False if nothing can be forked from it now.

    What cannot be imported is left to the workers, who say so. A process with threads is not to be
    forked: its child has none of them, and hangs at the first pool that waits for one. For BLAS not
    to have any, `tuner.workers.forking` has set its number to 1.
    """
    try:
        enter_code(ground["code"])
        for name in ground["modules"]:
            importlib.import_module(name)
    except BaseException:  # whatever code at a module's top does
        traceback.print_exc(file=sys.stderr)
    return len(os.listdir("/proc/self/task")) == 1 and not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
