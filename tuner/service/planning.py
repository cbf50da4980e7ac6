"""The plan of a spec that names code by import path: made by a process of its own.

This process imports neither PyTorch nor such code. The other one does, for as long as it takes to
resolve one spec: see `tuner.service.planner`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from filelock import FileLock, Timeout

from tuner.errors import Fault, PlanningBusy, SpecInvalid
from tuner.planning.imports import imported
from tuner.planning.plan import Plan
from tuner.spec import TrainingSpec

#: What the code may take to be imported, to give its data and to build its network a few times.
LIMIT_S: Final = 120.0
#: A request that waits for others holds a thread of the API.
WAIT_S: Final = 30.0
#: Of what the process says, its last line is among so many bytes.
_LAST_BYTES: Final = 10_000


def planned_aside(
    spec: TrainingSpec,
    roots: Sequence[str],
    allowed_code: Sequence[str],
    *,
    folder: Path,
    code: Mapping[str, Any] | None = None,
    limit_s: float = LIMIT_S,
    wait_s: float = WAIT_S,
) -> Plan:
    """What `tuner.planning.resolve.resolve` makes of `spec`, with the code that it names at hand.

    `code` is what an order says of the code of the job's own, which is among `allowed_code`. One
    plan is made at a time by all who use `folder`.

    Raises:
        SpecInvalid: it cannot be carried out; so where the code ends the process, or goes on for
            more than `limit_s`.
        PlanningBusy: another one is being made, for `wait_s` already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request = {
        "spec": spec.to_json(),
        "roots": list(roots),
        "allowed_code": list(allowed_code),
        "code": code,
    }
    try:
        with FileLock(folder / ".planning.lock", timeout=wait_s):
            answer = _answer(spec, request, limit_s)
    except Timeout as error:
        raise PlanningBusy(f"Others' code has been looked at for {wait_s:g} s.") from error
    if "faults" in answer:
        raise SpecInvalid([Fault(**fault) for fault in answer["faults"]])
    return Plan.from_json(answer["plan"])


def _answer(spec: TrainingSpec, request: dict[str, Any], limit_s: float) -> Any:
    # Files, since whatever the code starts may hold the other end of a pipe for ever.
    with TemporaryFile() as answer, TemporaryFile() as said:
        code = _ended(spec, json.dumps(request).encode(), answer, said, limit_s)
        if code == 0:
            answer.seek(0)
            return json.load(answer)
        said.seek(max(0, said.tell() - _LAST_BYTES))
        lines = said.read().decode(errors="replace").strip().splitlines()
    how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
    last = lines[-1] if lines else "it said nothing"
    raise _refused(spec, f"the process that imports it was ended {how}: {last}")


def _ended(
    spec: TrainingSpec, request: bytes, answer: IO[bytes], said: IO[bytes], limit_s: float
) -> int:
    """The exit code of the process that looks at the code; with all that it started it is gone."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "tuner.service.planner", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=answer,
        stderr=said,
        start_new_session=True,
        # One core is enough, and leaves the others to trials.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            process.communicate(request, timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            raise _refused(spec, f"it takes longer than {limit_s:g} s") from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode


def _refused(spec: TrainingSpec, why: str) -> SpecInvalid:
    """The fault of the first part that is named by import path; which it was is not known."""
    paths = imported(spec)
    named = " or ".join(dict.fromkeys(path for _, path in paths))
    detail = (
        f"{named}: {why}. Importing it must do nothing but define names, and quickly; import it in "
        "the server's Python to see."
    )
    return SpecInvalid([Fault(pointer=f"/{paths[0][0]}", code="not-imported", detail=detail)])
