"""What an exported model says of itself, read without PyTorch and without its weights."""

import json
from pathlib import Path
from typing import Any, Final

#: Longer headers than safetensors itself reads are none.
_LONGEST: Final = 100_000_000


def read_document(path: Path) -> dict[str, Any]:
    """The document in a file of `models.sealed`; that nothing is damaged is not looked at.

    Raises:
        ValueError: it is no such file.
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, _LONGEST))
    try:
        document: dict[str, Any] = json.loads(json.loads(header)["__metadata__"]["document"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no document") from error
    return document
