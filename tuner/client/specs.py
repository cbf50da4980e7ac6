"""How a spec is handed over: as a mapping, as YAML text, or as a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Spec = Mapping[str, Any] | Path | str


def body(spec: Spec, headers: Mapping[str, str]) -> dict[str, Any]:
    """The content and the headers of a submission."""
    content, kind = _content(spec)
    return {"content": content, "headers": {**headers, "Content-Type": f"application/{kind}"}}


def document_of(spec: Spec) -> object:
    """The spec as plain data.

    Raises:
        SpecInvalid: it is not well-formed.
    """
    if isinstance(spec, Mapping):
        return dict(spec)
    from tuner.documents import read_document

    content, kind = _content(spec)
    return read_document(content, f"application/{kind}")


def _content(spec: Spec) -> tuple[bytes, str]:
    if isinstance(spec, Mapping):
        return json.dumps(dict(spec)).encode(), "json"
    if isinstance(spec, Path) or _is_file_name(spec):
        path = Path(spec)
        return path.read_bytes(), "json" if path.suffix == ".json" else "yaml"
    return spec.encode(), "yaml"


def _is_file_name(text: str) -> bool:
    return "\n" not in text and text.endswith((".yaml", ".yml", ".json"))
