"""What is refused in any document, and how a refusal names the place."""

import math
from typing import Final

from tuner.errors import Fault, SpecInvalid

MAX_DEPTH: Final = 50
#: Enough for every double and every count; a longer number is a mistake or an attack.
MAX_NUMBER_LENGTH: Final = 100

TOO_DEEP: Final = f"The document is nested more than {MAX_DEPTH} levels deep; flatten it"
UNSTORABLE: Final = "Text holds a NUL or half a surrogate pair, which is no character; remove it"


def text_of(data: bytes) -> str:
    """`data` as UTF-8, with or without a byte order mark.

    Raises:
        SpecInvalid: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        byte = f"byte 0x{data[error.start]:02x} at {place(line, column)}"
        raise refusal("encoding", f"Not UTF-8: {byte}; save the file as UTF-8.") from error


def is_storable(text: str) -> bool:
    """Whether databases and UTF-8 can hold `text`."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def number_complaint(number: str) -> str | None:
    """What is wrong with a number as it is written; None if nothing is."""
    if len(number) > MAX_NUMBER_LENGTH:
        return f"A number of {len(number)} characters, {number[:12]}…, is too long to mean anything"
    if not math.isfinite(float(number)):
        return f"{number} is no finite number; write a number or leave the key out"
    return None


def twice(key: str) -> str:
    """The complaint about a key that stands twice."""
    return f"The key {key!r} stands twice in one mapping; keep one"


def place(line: int, column: int) -> str:
    """A place in words; both count from 1."""
    return f"line {line}, column {column}"


def place_in(text: str, position: int) -> str:
    """The place of the character `position` of `text`, in words."""
    line = text.count("\n", 0, position) + 1
    return place(line, position - text.rfind("\n", 0, position))


def refusal(code: str, detail: str) -> SpecInvalid:
    """The error for a document that cannot be read at all."""
    return SpecInvalid([Fault(pointer="", code=code, detail=detail)])
