"""Messages on the wire: one JSON object each, ``{"type": "Reported", …}``.

Nothing is pickled, so a worker that runs foreign code can send nothing but data.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from types import NoneType
from typing import Any, Final

from tuner.protocol import (
    Ended,
    FromWorker,
    Judged,
    Noted,
    Progressed,
    ProtocolViolated,
    Reported,
    Saved,
    StartAttempt,
    StopAttempt,
    Suggest,
    Suggested,
    ToWorker,
    Verdict,
)
from tuner.states import AttemptState, Reason

_TYPES: Final[Mapping[str, type[Any]]] = {
    cls.__name__: cls
    for cls in (
        StartAttempt,
        Judged,
        Suggested,
        StopAttempt,
        Reported,
        Progressed,
        Saved,
        Suggest,
        Noted,
        Ended,
    )
}
_ENUMS: Final[Mapping[tuple[str, str], type[StrEnum]]] = {
    ("Judged", "verdict"): Verdict,
    ("StopAttempt", "reason"): Reason,
    ("Ended", "state"): AttemptState,
    ("Ended", "reason"): Reason,
}


#: What the fields may hold: foreign code shares the worker's process, so a frame is not trusted.
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "attempt": (int,),
    "program": (str,),
    "payload": (dict,),
    "threads": (int,),
    "gpus": (tuple,),
    "decisive": (tuple, NoneType),
    "foreign": (bool,),
    "ground": (dict, NoneType),
    "lanes": (int,),
    "beside": (int, NoneType),
    "step": (int,),
    "done": (int,),
    "total": (int,),
    "verdict": (Verdict,),
    "reason": (Reason, NoneType),
    "metrics": (dict,),
    "uri": (str,),
    "size_bytes": (int,),
    "best": (bool,),
    "superseded": (tuple,),
    "state": (AttemptState,),
    "name": (str,),
    "distribution": (str,),
    "error": (str, NoneType),
    "user_attrs": (dict,),
    "constraints": (dict,),
    "value": (float, int, str, bool, NoneType),
    "values": (tuple, NoneType),
    "detail": (str, NoneType),
    "traceback": (str, NoneType),
    "facts": (dict,),
}


def encode(message: ToWorker | FromWorker) -> bytes:
    """One message as a JSON object; NaN and infinities travel as Python's JSON writes them."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return json.dumps({"type": type(message).__name__, **values}).encode()


def decode(frame: bytes) -> ToWorker | FromWorker:
    """The message in `frame`.

    Raises:
        ProtocolViolated: the frame is not one of our messages.
    """
    try:
        values = json.loads(frame)
        name = values.pop("type")
        for (owner, key), enum in _ENUMS.items():
            if owner == name and values.get(key) is not None:
                values[key] = enum(values[key])
        if "gpus" in values:
            values["gpus"] = tuple(map(int, values["gpus"]))
        if "superseded" in values:
            values["superseded"] = tuple(map(str, values["superseded"]))
        if values.get("decisive") is not None:
            values["decisive"] = tuple(map(int, values["decisive"]))
        if values.get("values") is not None:
            values["values"] = tuple(map(float, values["values"]))
        _check(name, values)
        message: ToWorker | FromWorker = _TYPES[name](**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolViolated(frame) from error
    return message


def _check(message: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if not isinstance(value, _KINDS[name]):
            raise TypeError(name)
    if message == "Ended" and isinstance(values.get("value"), str):
        raise TypeError("value")
    for name in ("metrics", "constraints"):
        if not all(isinstance(value, int | float) for value in values.get(name, {}).values()):
            raise TypeError(name)
    if not 0 <= values.get("done", 0) <= values.get("total", 1) or values.get("total") == 0:
        raise ValueError("done")
