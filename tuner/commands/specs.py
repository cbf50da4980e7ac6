"""The spec that a command is given: a file, and what is said over it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer


def spec_of(path: Path, overrides: list[str], *, called: str = "SPEC.yaml") -> dict[str, Any]:
    """The document in the file, or in stdin where it is ``-``, with the overrides.

    A file that cannot be read is `called` so in the error.

    Raises:
        SpecInvalid: it is none.
    """
    from tuner.documents import apply_overrides, read_json, read_yaml
    from tuner.errors import Fault, SpecInvalid

    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint=called) from error
    document = read_json(data) if path.suffix == ".json" else read_yaml(data)
    if not isinstance(document, Mapping):
        detail = f"{path} holds no mapping of names to values."
        raise SpecInvalid([Fault(pointer="", code="type", detail=detail)])
    return apply_overrides(document, overrides)
