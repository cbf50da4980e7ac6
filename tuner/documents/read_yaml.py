"""YAML as plain data, built from the parser's events: nothing a tag or an alias could reach."""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

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

# YAML 1.2's core schema, and digits grouped by thousands as in 500_000_000.
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_WHOLE = re.compile(r"[-+]?(\d+|\d{1,3}(_\d{3})+)", re.ASCII)
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_REAL = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_Events = Iterator[yaml.Event]


def read_yaml(data: bytes) -> Any:
    """The value of one YAML document, by YAML 1.2's core schema: dates and ``yes`` are text.

    Keys are text whatever they look like.

    Raises:
        SpecInvalid: not YAML, more than one document, anchors, aliases or tags, a key that stands
            twice or is no scalar, a number that is not finite, or nesting deeper than `MAX_DEPTH`.
    """
    text = text_of(data)
    stray = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if stray:
        where = place_in(text, stray.start())
        raise refusal("yaml", f"Not YAML: the character {stray.group()!r} ({where}).")
    # libyaml's parser where the wheel has it: a hostile megabyte costs a second, not ten.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _document(iter(yaml.parse(text, Loader=loader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place(mark.line + 1, mark.column + 1) if mark else "at its end"
        detail = f"Not YAML: {error.problem or error.context} ({where})."
        raise refusal("yaml", detail) from error


def _document(events: _Events) -> Any:
    value: Any = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                _refuse(event, "A second document starts here; hand in one at a time")
        elif isinstance(event, yaml.NodeEvent):
            value = _node(event, events, depth=1)
    return value


def _node(event: yaml.Event, events: _Events, *, depth: int) -> Any:
    _refuse_references(event)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if depth > MAX_DEPTH:
        _refuse(event, TOO_DEEP)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, depth=depth)
    return _mapping(events, depth=depth)


def _refuse_references(event: yaml.Event) -> None:
    anchor = getattr(event, "anchor", None)
    if isinstance(event, yaml.AliasEvent):
        _refuse(event, f"*{anchor} is an alias, which is not read; write the value out")
    if anchor:
        _refuse(event, f"&{anchor} is an anchor, which is not read; remove it")
    tag = getattr(event, "tag", None)
    if tag:
        _refuse(event, f"{tag} is a tag, which is not read; quote a value that shall be text")


def _sequence(events: _Events, *, depth: int) -> list[Any]:
    items = []
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        items.append(_node(event, events, depth=depth + 1))
    return items


def _mapping(events: _Events, *, depth: int) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        _refuse_references(event)
        if not isinstance(event, yaml.ScalarEvent):
            _refuse(event, "A key must be plain text, not a list or a mapping")
        key = _checked(event)
        if key in mapping:
            _refuse(event, twice(key))
        mapping[key] = _node(next(events), events, depth=depth + 1)
    return mapping


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = _checked(event)
    is_plain = event.implicit[0]
    if not is_plain:
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _NOT_FINITE.fullmatch(text):
        _refuse(event, f"{text} is no finite number; write a number or leave the key out")
    if not _WHOLE.fullmatch(text) and not _REAL.fullmatch(text):
        return text
    complaint = number_complaint(text)
    if complaint:
        _refuse(event, complaint)
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def _checked(event: yaml.ScalarEvent) -> str:
    text: str = event.value
    if not is_storable(text):
        _refuse(event, UNSTORABLE)
    return text


def _refuse(event: yaml.Event, complaint: str) -> NoReturn:
    mark = event.start_mark
    where = place(mark.line + 1, mark.column + 1) if mark else "at an unknown place"
    raise refusal("yaml", f"{complaint} ({where}).")
