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
from typing import Any, Final

from filelock import FileLock, Timeout

from tuner.errors import Fault, PlanningBusy, SpecInvalid
from tuner.planning.imports import imported
from tuner.planning.plan import Plan
from tuner.spec import TrainingSpec

#: What the code may take to be imported, to give its data and to build its network a few times.
LIMIT_S: Final = 120.0
#: A request that waits for others holds a thread of the API.
WAIT_S: Final = 30.0


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
    command = [sys.executable, "-P", "-m", "tuner.service.planner", str(os.getpid())]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # With all that it starts it is ended as one.
        start_new_session=True,
        # One core is enough, and leaves the others to trials.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            answer, said = process.communicate(json.dumps(request), timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            raise _refused(spec, f"it takes longer than {limit_s:g} s") from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        code = process.returncode
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        raise _refused(spec, f"the process that imports it was ended {how}: {last}")
    return json.loads(answer)


def _refused(spec: TrainingSpec, why: str) -> SpecInvalid:
    """The fault of the first part that is named by import path; which it was is not known."""
    paths = imported(spec)
    named = " or ".join(dict.fromkeys(path for _, path in paths))
    detail = (
        f"{named}: {why}. Importing it must do nothing but define names, and quickly; import it in "
        "the server's Python to see."
    )
    return SpecInvalid([Fault(pointer=f"/{paths[0][0]}", code="not-imported", detail=detail)])
