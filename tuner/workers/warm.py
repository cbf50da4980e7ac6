"""What the fork server does once so that no worker has to: imports, and a first training."""

import gc
import importlib
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType

import torch


def warm(modules: Iterable[str] = ()) -> None:
    """Import PyTorch, all that its first training step imports, and `modules`.

    A module that has a function ``rehearse`` has it called: what the first run of its programs
    loads and sets up, no worker then has to.

    No device but the CPU is touched: CUDA does not survive a fork.

    Leaves the process with one thread: a child forked while PyTorch holds a pool of threads
    inherits the pool without its threads, and hangs at its first parallel operation.
    """
    torch.set_num_threads(1)  # before any operation, which would start the pool
    module = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    for name in modules:
        _rehearse(importlib.import_module(name))
    gc.collect()
    gc.freeze()  # a collection in a worker would write to, and so copy, every page


def _rehearse(module: ModuleType) -> None:
    try:
        getattr(module, "rehearse", lambda: None)()
    except Exception:  # a full disk, say: workers then take longer, and say what is wrong
        traceback.print_exc(file=sys.stderr)
