"""The reason for whatever a program raises, and the end of a worker for whatever it did."""

import errno

import pytest
import torch

from tuner.artifacts.store import ArtifactsUnavailable
from tuner.executors.workers import Worker, end_of
from tuner.protocol import FromWorker, StartAttempt, ToWorker
from tuner.states import Reason
from tuner.workers.conduct import MAX_TRACEBACK_CHARS, conduct, reason_of


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), Reason.OOM_HOST),
        (OSError(errno.ENOSPC, "No space left on device"), Reason.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Reason.DISK_FULL),
        (OSError(errno.EFBIG, "File too large"), Reason.DISK_FULL),
        (ArtifactsUnavailable("s3://bucket", "no route to host"), Reason.WORKER_LOST),
        (RuntimeError("Error: I/O error: No space left on device (os error 28)"), Reason.DISK_FULL),
        (torch.OutOfMemoryError("CUDA out of memory. Tried …"), Reason.OOM_GPU),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), Reason.OOM_GPU),
        (RuntimeError("CUDA error: device-side assert triggered"), Reason.CUDA_ERROR),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), Reason.CUDA_ERROR),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), Reason.OOM_HOST),
        (FileNotFoundError(errno.ENOENT, "gone"), Reason.USER_ERROR),
        (ValueError("bad"), Reason.USER_ERROR),
        (KeyboardInterrupt(), Reason.USER_ERROR),
        (Unprintable(), Reason.USER_ERROR),
    ],
)
def test_an_error_has_its_reason(error: BaseException, reason: Reason) -> None:
    assert reason_of(error) is reason


def test_a_real_failure_to_allocate_is_for_want_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert reason_of(caught.value) is Reason.OOM_HOST


class Silent:
    """A transport nobody uses."""

    def send(self, message: FromWorker) -> None:
        raise AssertionError(message)

    def receive(self) -> ToWorker:
        raise AssertionError

    def receive_now(self) -> ToWorker | None:
        raise AssertionError


def recurses(payload: object, context: object) -> None:
    raise ValueError("x" * 1_000_000)


def test_texts_without_end_are_cut_in_their_middle(tmp_path: object) -> None:
    order = StartAttempt(attempt=1, program=f"{__name__}:recurses", payload={})
    ended = conduct(order, Silent(), scratch=tmp_path, device="cpu")  # type: ignore[arg-type]
    assert ended.traceback is not None
    assert ended.detail is not None
    assert len(ended.traceback) < MAX_TRACEBACK_CHARS + 100
    assert ended.detail.startswith("ValueError: xxx")
    assert "left out" in ended.detail
    assert ended.traceback.startswith("Traceback")


@pytest.mark.parametrize(
    ("exit_code", "memory_ran_out", "reason", "words"),
    [
        (0, False, Reason.NO_RESULT, "code 0"),
        (-9, False, Reason.WORKER_LOST, "SIGKILL"),
        (-9, True, Reason.OOM_HOST, "memory"),
        (-11, False, Reason.CRASHED, "SIGSEGV"),
        (-11, True, Reason.CRASHED, "SIGSEGV"),
        (-60, False, Reason.CRASHED, "signal 60"),
    ],
)
def test_an_exit_code_has_its_reason(
    exit_code: int, memory_ran_out: bool, reason: Reason, words: str
) -> None:
    worker = Worker(number=1, channel=None, log=-1, pid=77)  # type: ignore[arg-type]
    end = end_of(worker, exit_code, memory_ran_out=memory_ran_out)
    assert end.reason is reason
    assert words in end.detail
    assert "77" in end.detail
