"""The best network in another format: made by a process of its own, kept as long as there is room.

PyTorch takes seconds to import and hundreds of megabytes: this process never does it.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from models.files import marks_of
from tuner.errors import ArtifactNotFound, ConversionBusy, ConversionFailed, FormatUnavailable

#: File endings by format.
SUFFIXES: Final = {"safetensors": ".safetensors", "torch_export": ".pt2", "onnx": ".onnx"}
#: What `models.exported.predictor` ends with where it refuses, and says why on standard error.
REFUSED: Final = 3
LIMIT_S: Final = 300.0
#: A request that waits for others holds a thread of the API.
WAIT_S: Final = 60.0


def converted(
    model: Path,
    folder: Path,
    file_format: str,
    *,
    allowed_code: Sequence[str] = (),
    code: Mapping[str, Any] | None = None,
    limit_s: float = LIMIT_S,
    wait_s: float = WAIT_S,
) -> Path:
    """The file of `model` in another format, in `folder`; beside it one is made at a time.

    `allowed_code` are the modules from which a network, and what stands in front of it, may be
    imported, and `code` what an order says of the code of its job's own.

    Raises:
        FormatUnavailable: a package is missing that the format needs, or code is not allowed.
        ConversionFailed: it took too long, or the process failed.
        ConversionBusy: another one is being made, for `wait_s` already.
        ArtifactNotFound: the model is gone.
    """
    target = folder / f"{_key(model)}{SUFFIXES[file_format]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.parent / ".lock", timeout=wait_s):
            try:
                os.utime(target)  # what was used last is removed last
            except FileNotFoundError:
                arguments = (str(model), str(target), file_format, *allowed_code)
                _convert(file_format, arguments, code, limit_s)
    except Timeout as error:
        raise ConversionBusy(file_format) from error
    except subprocess.TimeoutExpired as error:
        raise ConversionFailed(file_format, f"it took longer than {limit_s:g} s") from error
    return target


def _key(model: Path) -> str:
    try:
        state = str(model), marks_of((model,))
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"model {model.name}") from error
    return hashlib.sha256(repr(state).encode()).hexdigest()[:32]


def _convert(
    file_format: str, arguments: Sequence[str], code: Mapping[str, Any] | None, limit_s: float
) -> None:
    program = ["models.exported.predictor"]
    if code is not None:
        program = ["tuner.foreign.converting", json.dumps(code)]
    command = [sys.executable, "-P", "-m", *program, *arguments]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        # One core is enough, and leaves the others to trials.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if ended.returncode == 0:
        return
    last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
    if ended.returncode == REFUSED:
        raise FormatUnavailable(file_format, last)
    raise ConversionFailed(file_format, last)
