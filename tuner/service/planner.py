"""Resolves one spec that names code by import path, in a process that imports it and ends.

``python -m tuner.service.planner PARENT`` reads the request as JSON from standard input and writes
the plan, or the faults, to standard output. What the code prints goes to standard error.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from models.importing import PartRefused, load
from tuner.errors import Fault, SpecInvalid
from tuner.foreign.entering import enter_code
from tuner.planning.imports import check_imports, imported
from tuner.planning.resolve import check_names, resolve
from tuner.spec import TrainingSpec
from tuner.workers.kernel import end_with_parent


def main(arguments: Sequence[str]) -> int:
    """Answer the request on standard input."""
    (parent,) = arguments
    end_with_parent(signal.SIGKILL, int(parent))
    with _answers() as answers:
        json.dump(answer(json.load(sys.stdin)), answers)
    # Threads that the code has left running are not waited for.
    os._exit(0)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """``plan``, or the ``faults`` of the spec."""
    spec, allowed = TrainingSpec.parse(request["spec"]), tuple(request["allowed_code"])
    try:
        enter_code(request.get("code"))
    except PartRefused as error:
        return _faults([Fault(pointer="/code", code="not-there", detail=str(error))])
    try:
        check_names(spec, allowed)
        check_imports(spec, allowed)
        check_parts(spec)
        return {"plan": resolve(spec, tuple(request["roots"]), allowed).to_json()}
    except SpecInvalid as error:
        return _faults(error.faults)


def _faults(faults: Iterable[Fault]) -> dict[str, Any]:
    return {"faults": [asdict(fault) for fault in faults]}


def check_parts(spec: TrainingSpec) -> None:
    """Import each loss, optimizer, augmentation and preparation that `spec` names by import path.

    Raises:
        SpecInvalid: one is not there, or not what it should be.
    """
    faults = []
    for key, path in imported(spec):
        if key in ("model", "data"):
            continue  # `resolve` imports them
        try:
            load("models.imported:PARTS")[key](path)
        except PartRefused as error:
            faults.append(Fault(pointer=f"/{key}", code="not-imported", detail=str(error)))
    if faults:
        raise SpecInvalid(faults)


def _answers() -> TextIO:
    """Standard output, which from now on is standard error for whoever prints."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
