"""How the step of all lanes is made one graph.

A step in lanes reads and writes nothing but tensors that it is given, whose shapes never change:
what differs between lanes is data, and so is whoever enters or leaves. Hence it is traced once, the
pass forwards, the gradients and the update as one list of operations, and that is compiled for the
life of the worker. What was compiled is kept in files, under a digest of those operations, so that
other workers, and those of the next start, only load it.
"""

import ctypes
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, assert_never

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Kind = Literal["eager", "compile", "cudagraph"]
#: Takes state, which it changes in place, and what is given to this very step.
Step = Callable[[Any, Any], tuple[Tensor, Tensor]]

#: Steps before a capture, in which libraries choose their ways.
_WARM_UP: Final = 3
#: malloc.h's, of glibc: from where blocks are mapped one by one, and when free ones are given back.
_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1


@dataclass(frozen=True, slots=True)
class Graph:
    """A way in which the steps of lanes are carried out."""

    kind: Kind
    #: Where compiled code is kept; without it, where torch keeps its own.
    folder: Path | None = None

    def of(self, step: Step, state: Any, given: Any) -> Step:
        """The step carried out so, for this very state and for whatever has the shapes of `given`.

        Steps are taken meanwhile, so that the state is another.

        Raises:
            Exception: the step cannot be made one graph, or there is no compiler; of any kind.
        """
        match self.kind:
            case "eager":
                return step
            case "compile":
                with _files_in(self.folder):
                    return _compiled(step, state, given)
            case "cudagraph":
                return _captured(step, state, given)
            case _:
                assert_never(self.kind)


EAGER: Final = Graph("eager")


def _compiled(step: Step, state: Any, given: Any) -> Step:
    from torch.fx.experimental.proxy_tensor import make_fx  # only who compiles waits for it

    tensors, shape = pytree.tree_flatten((state, given))

    def flat(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        return step(*pytree.tree_unflatten(tensors, shape))

    # Traced by torch's dispatcher, below `vmap` and autograd, whose Python no compiler has to read.
    program = torch.compile(make_fx(flat)(*tensors), fullgraph=True, dynamic=False)

    def carried_out(state: Any, given: Any) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            losses, right = program(*pytree.tree_leaves((state, given)))
        return losses, right

    _keep_freed_memory()
    carried_out(state, given)  # compiles
    return carried_out


def _keep_freed_memory() -> None:
    """Have malloc keep what a step frees for the next one.

    A compiled step frees much at once, which glibc gives back to the kernel and then gets page by
    page: a step of 2.5 ms took twice or thrice that.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 25)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


@contextmanager
def _files_in(folder: Path | None) -> Iterator[None]:
    """Have torch's compiler keep its files there, and start no pool of processes.

    Headers are not compiled ahead: 150 MB, which it would keep where a worker's scratch files go.
    """
    if folder is not None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    # Read when the compiler is imported; a pool would compete with other workers, and outlive us.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    from torch._inductor import config

    ours = {"compile_threads": 1, "cpp_cache_precompile_headers": False, "fx_graph_cache": True}
    with config.patch(ours), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about torch
        yield


def _captured(step: Step, state: Any, given: Any) -> Step:
    """The step's kernels as a GPU was told to run them, to be run again by one word."""
    tensors, shape = pytree.tree_flatten(given)
    mine = [tensor.clone() for tensor in tensors]
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            step(state, pytree.tree_unflatten(mine, shape))
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step(state, pytree.tree_unflatten(mine, shape))

    def carried_out(state: Any, given: Any) -> tuple[Tensor, Tensor]:
        for place, tensor in zip(mine, pytree.tree_leaves(given), strict=True):
            place.copy_(tensor)
        graph.replay()
        return found

    return carried_out
