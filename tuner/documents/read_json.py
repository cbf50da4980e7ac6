"""JSON as plain data."""

import json
import re
from typing import Any

from tuner.documents.faults import (
    MAX_DEPTH,
    TOO_DEEP,
    UNSTORABLE,
    is_storable,
    number_complaint,
    place,
    place_in,
    refusal,
    text_of,
    twice,
)

# Strings first, so that nothing inside one is taken for structure.
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]++|\\.)*+")|(?P<mark>[{}\[\]:])'
    r"|(?P<number>-?\d[\d.eE+-]*+|NaN|-?Infinity)",
    re.DOTALL,
)


def read_json(data: bytes) -> Any:
    """The value of a JSON document (RFC 8259, UTF-8).

    Raises:
        SpecInvalid: not JSON, a key that stands twice, a number that is not finite or absurdly
            long, text that cannot be stored, or nesting deeper than `MAX_DEPTH`.
    """
    text = text_of(data)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        where = place(error.lineno, error.colno)
        raise refusal("json", f"Not JSON: {error.msg} ({where}).") from error
    except (RecursionError, ValueError) as error:
        # Too deep, or a number of thousands of digits: the check below names the place.
        _check_tokens(text)
        raise refusal("json", f"Not JSON that can be read: {error}.") from error
    _check_tokens(text)
    return value


def _check_tokens(text: str) -> None:
    """Refuse what `json.loads` accepts and a spec must not have.

    `text` is well-formed up to the first thing refused.
    """
    # The keys of every open mapping, None for an open list.
    open_keys: list[set[str] | None] = []
    last = ""
    for token in _TOKEN.finditer(text):
        complaint: str | None = None
        match token.group():
            case "{" | "[" as opening:
                open_keys.append(set() if opening == "{" else None)
                complaint = TOO_DEEP if len(open_keys) > MAX_DEPTH else None
            case "}" | "]":
                open_keys.pop()
            case ":":
                complaint = _complaint_about_key(open_keys[-1], last)
            case string if token.lastgroup == "string":
                last = json.loads(string)
                complaint = None if is_storable(last) else UNSTORABLE
            case number:
                complaint = number_complaint(number)
        if complaint:
            raise refusal("json", f"{complaint} ({place_in(text, token.start())}).")


def _complaint_about_key(seen: set[str] | None, key: str) -> str | None:
    if seen is None:
        return None
    if key in seen:
        return twice(key)
    seen.add(key)
    return None
