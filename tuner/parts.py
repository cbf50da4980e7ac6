"""A document as one of our parts, or what is wrong with it, in sentences."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from tuner.errors import Fault, SpecInvalid, nearest


class Part(BaseModel):
    """A part of a spec: immutable, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def parse_part(part: type[BaseModel], document: object) -> Any:
    """An object of class `part` from plain data.

    Raises:
        SpecInvalid: with one fault for each thing wrong.
    """
    if not isinstance(document, Mapping):
        detail = (
            f"A {part.__name__} is a mapping of names to values, not {type(document).__name__}."
        )
        raise SpecInvalid([Fault(pointer="", code="type", detail=detail)])
    try:
        return part.model_validate(document)
    except ValidationError as error:
        raise SpecInvalid(_faults(part, document, error.errors())) from error


def _faults(part: type[BaseModel], document: object, errors: list[ErrorDetails]) -> list[Fault]:
    """One fault per place: the branches of a union complain one by one about the same value."""
    places: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for details in errors:
        places.setdefault(_place(details, document), []).append(details)
    return [_fault(part, place, complaints) for place, complaints in places.items()]


def _place(details: ErrorDetails, document: object) -> tuple[int | str, ...]:
    """The path to the value; pydantic adds the names of a union's branches, which it has not."""
    place: list[int | str] = []
    for key in details["loc"]:
        if _has(document, key):
            document = document[key]  # type: ignore[index]
        elif details["type"] != "missing":
            continue
        place.append(key)
    return tuple(place)


def _has(document: object, key: int | str) -> bool:
    if isinstance(document, Mapping):
        return key in document
    return isinstance(document, list) and isinstance(key, int) and key < len(document)


def _fault(
    part: type[BaseModel], place: tuple[int | str, ...], complaints: list[ErrorDetails]
) -> Fault:
    pointer = "".join(f"/{key}" for key in place)
    name = ".".join(map(str, place))
    match complaints[0]["type"]:
        case "missing":
            return Fault(pointer=pointer, code="missing", detail=f"{name} is missing.")
        case "extra_forbidden":
            known = tuple(_fields_at(part, place[:-1]))
            detail = f"{name} is an unknown key: {nearest(str(place[-1]), known)}"
            return Fault(pointer=pointer, code="unknown-key", detail=detail)
        case code:
            wishes = dict.fromkeys(_wish(details) for details in complaints)
            detail = f"{name} = {_short(complaints[0]['input'])}: {', or '.join(wishes)}."
            return Fault(pointer=pointer, code=code.replace("_", "-"), detail=detail)


def _wish(details: ErrorDetails) -> str:
    text = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text.partition(", unable to")[0]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _fields_at(part: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys the model below `part` at `place` knows."""
    for name in place:
        field = part.model_fields.get(str(name))
        annotation = field.annotation if field else None
        below = [
            each
            for each in (annotation, *get_args(annotation))
            if isinstance(each, type) and issubclass(each, BaseModel)
        ]
        if not below:
            return []
        part = below[0]
    return list(part.model_fields)
