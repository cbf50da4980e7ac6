"""Page tokens: the place where the next page begins, opaque to whoever carries it."""

import base64
import binascii
import json
import math
from typing import Any, Final

from tuner.errors import Fault, SpecInvalid

MAX_PAGE_SIZE: Final = 500
_MAX_ID: Final = 2**63 - 1


def token_of(**place: Any) -> str:
    """The token of a place."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(token: str, **expected: type) -> dict[str, Any]:
    """The place a token names, with exactly these keys and types.

    Raises:
        SpecInvalid: the token is none of ours.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise refuse_token(token) from error
    if not isinstance(place, dict) or place.keys() != expected.keys():
        raise refuse_token(token)
    if not all(_fits(place[name], kind) for name, kind in expected.items()):
        raise refuse_token(token)
    return place


def check_page_size(size: int) -> int:
    """`size`, if a page may have so many entries.

    Raises:
        SpecInvalid: it may not.
    """
    if 1 <= size <= MAX_PAGE_SIZE:
        return size
    detail = f"page_size = {size} must be from 1 to {MAX_PAGE_SIZE}."
    raise SpecInvalid([Fault(pointer="page_size", code="page-size", detail=detail)])


def _fits(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and abs(value) <= _MAX_ID
    if kind is float:
        return type(value) is float and not math.isnan(value)
    return isinstance(value, kind)


def refuse_token(token: str) -> SpecInvalid:
    """The error that a token of another list, or of none, deserves."""
    shown = token if len(token) <= 60 else token[:59] + "…"
    detail = f"page_token = {shown!r} is none of this list; begin without one."
    return SpecInvalid([Fault(pointer="page_token", code="page-token", detail=detail)])
