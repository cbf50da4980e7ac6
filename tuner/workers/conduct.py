"""One attempt from its order to its end: call the program, and put a name to whatever happens."""

import errno
import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from tuner.artifacts.store import ArtifactsUnavailable
from tuner.protocol import ChannelClosed, Ended, StartAttempt
from tuner.states import AttemptState, Reason
from tuner.trial import Context, Outcome, Transport
from tuner.workers.frames import frame

if TYPE_CHECKING:
    from tuner.shared_lanes import SharedLanes

Program = Callable[[Mapping[str, Any], Context], Outcome]

#: Longer texts are cut in their middle: the last call and the last words tell most.
MAX_TRACEBACK_CHARS: Final = 20_000
MAX_DETAIL_CHARS: Final = 2_000

#: Of the file system, of a quota, of a limit on files' size.
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What a message contains that tells its reason although its type does not; first match counts.
_TELLTALES: Final[tuple[tuple[str, Reason], ...]] = (
    ("CUDA out of memory", Reason.OOM_GPU),
    ("CUBLAS_STATUS_ALLOC_FAILED", Reason.OOM_GPU),
    ("CUDA error", Reason.CUDA_ERROR),
    ("cuDNN error", Reason.CUDA_ERROR),
    ("DefaultCPUAllocator", Reason.OOM_HOST),
    ("No space left on device", Reason.DISK_FULL),
)


def conduct(
    order: StartAttempt,
    transport: Transport,
    *,
    scratch: Path,
    device: str,
    lanes: "SharedLanes | None" = None,
) -> Ended:
    """Run the order's program to its end; whatever it raises becomes a reason.

    What is returned can be sent. `lanes` are those of its worker, where it serves several attempts.

    Raises:
        ChannelClosed: nobody is left who wants to know.
    """
    context = Context(order, transport, scratch=scratch, device=device, lanes=lanes)
    try:
        outcome = load(order.program)(order.payload, context)
        ended = _ended(order.attempt, outcome)
        frame(ended)  # what cannot be sent is an error of the program's, and raises here
        return ended
    except ChannelClosed:
        raise
    except SystemExit as error:
        detail = f"The program called sys.exit({error.code!r}) without a result."
        return _failed(order.attempt, Reason.NO_RESULT, detail, error)
    except BaseException as error:
        return _failed(order.attempt, reason_of(error), _text(error), error)


def load(program: str) -> Program:
    """The function that ``package.module:function`` names."""
    module, _, function = program.partition(":")
    return cast(Program, getattr(importlib.import_module(module), function))


def reason_of(error: BaseException) -> Reason:
    """The reason for an attempt that ended with `error`."""
    if isinstance(error, MemoryError):
        return Reason.OOM_HOST
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Reason.DISK_FULL
    if isinstance(error, ArtifactsUnavailable):
        return Reason.WORKER_LOST  # cut off from what it works with; another may reach it
    torch = sys.modules.get("torch")  # a program that has not imported it cannot raise its errors
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return Reason.OOM_GPU
    if torch is not None and isinstance(error, torch.AcceleratorError):
        return Reason.CUDA_ERROR
    return reason_in(_text(error))


def reason_in(text: str) -> Reason:
    """The reason for a failure of which this was said; without a telltale, the user's code."""
    return next((reason for mark, reason in _TELLTALES if mark in text), Reason.USER_ERROR)


def _ended(attempt: int, outcome: object) -> Ended:
    if not isinstance(outcome, Outcome):
        kind = type(outcome).__name__
        detail = f"The program returned {kind}, not an Outcome."
        return Ended(
            attempt=attempt, state=AttemptState.FAILED, reason=Reason.NO_RESULT, detail=detail
        )
    return Ended(
        attempt=attempt,
        state=outcome.state,
        value=outcome.value,
        values=outcome.values,
        reason=outcome.reason,
        detail=outcome.detail,
        facts=outcome.facts,
    )


def _failed(attempt: int, reason: Reason, detail: str, error: BaseException) -> Ended:
    trace = "".join(traceback.format_exception(error))
    return Ended(
        attempt=attempt,
        state=AttemptState.FAILED,
        reason=reason,
        detail=_cut(detail, MAX_DETAIL_CHARS),
        traceback=_cut(trace, MAX_TRACEBACK_CHARS),
    )


def _text(error: BaseException) -> str:
    # not str(error): the method is the user's, and may itself raise
    return "".join(traceback.format_exception_only(error)).strip()


def _cut(text: str, limit: int) -> str:
    half = limit // 2
    left_out = len(text) - 2 * half
    return text if left_out <= 0 else f"{text[:half]}\n… {left_out} left out …\n{text[-half:]}"
