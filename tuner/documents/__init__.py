"""Documents a person hands in, JSON or YAML, read as plain data: mappings, lists and scalars.

Stricter than the usual readers, because what they let pass silently becomes a job nobody asked
for: a key that stands twice, ``1e-4`` taken for text, ``no`` taken for false, an alias that grows
without bound.
"""

from typing import Any

from tuner.documents.faults import MAX_DEPTH, refusal
from tuner.documents.overrides import apply_overrides, parse_overrides
from tuner.documents.read_json import read_json
from tuner.documents.read_yaml import read_yaml

__all__ = [
    "MAX_DEPTH",
    "apply_overrides",
    "parse_overrides",
    "read_document",
    "read_json",
    "read_yaml",
]


def read_document(data: bytes, content_type: str) -> Any:
    """The plain data in `data`, read as its media type says.

    Raises:
        SpecInvalid: the type is neither ``application/json`` nor ``application/yaml``, or the
            document is not well-formed; the detail names line and column.
    """
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            return read_json(data)
        case "application/yaml":
            return read_yaml(data)
        case other:
            detail = f"{other!r} is not read; send application/json or application/yaml."
            raise refusal("content-type", f"Content-Type {detail}")
