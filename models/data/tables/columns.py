"""What is known of a table's columns, as plain data. Imports neither NumPy nor pyarrow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

#: ``none`` is a column that is left out.
Kind = Literal["number", "flag", "date", "category", "none"]
Label = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One number that a column gives: its value, or a date's year, month, …

    An example's number is ``(value - mean) / std``, where the value is first bent into a normal
    distribution if there are `knots`, or by a `power`; `fill` stands for a missing value before
    that. All are those of the training rows.
    """

    name: str
    fill: float
    mean: float
    std: float
    #: The values at levels evenly apart, rising; empty if values are not bent.
    knots: tuple[float, ...] = ()
    #: Yeo and Johnson's lambda for values in units of `size`; 1 if values are not bent.
    power: float = 1.0
    size: float = 1.0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Part":
        """The part that `dataclasses.asdict` wrote, after its way through JSON."""
        return cls(**(dict(document) | {"knots": tuple(document["knots"])}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table and what becomes of it."""

    name: str
    kind: Kind
    #: As the file has it: ``integer``, ``number``, ``text``, ``flag``, ``date``, …
    type: str
    #: Share of the training rows without a value.
    missing: float
    #: Of a number, flag or date.
    parts: tuple[Part, ...] = ()
    #: Whether one more number tells where a value was missing; so where the training rows lack one.
    tells_missing: bool = False
    #: Of a category: the known values as text. The code of the first is 1; 0 is any other.
    categories: tuple[str, ...] = ()
    #: In words what was decided: why it is left out, what is unknown.
    note: str = ""

    @property
    def numbers(self) -> int:
        """How many numbers it gives an example."""
        return len(self.parts) + self.tells_missing

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Column":
        """The column that `dataclasses.asdict` wrote, after its way through JSON."""
        fields = dict(document)
        fields["parts"] = tuple(Part.from_json(part) for part in fields["parts"])
        fields["categories"] = tuple(fields["categories"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is predicted: one of `classes`, or, where there are none, a number."""

    name: str
    type: str
    #: The labels as they were, in the order of their codes.
    classes: tuple[Label, ...] = ()
    #: Of the training rows' numbers, in the target's own unit.
    mean: float = 0.0
    std: float = 1.0
    note: str = ""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Target":
        """The target that `dataclasses.asdict` wrote, after its way through JSON."""
        return cls(**(dict(document) | {"classes": tuple(document["classes"])}))


def described(column: Column) -> dict[str, Any]:
    """The column in words, for people."""
    return {
        "column": column.name,
        "type": column.type,
        "missing": round(column.missing, 4),
        "used": _use(column),
        "note": column.note,
    }


def target_in_words(target: Target) -> str:
    """What is predicted, for people."""
    if not target.classes:
        return "a number"
    shown = ", ".join(map(str, target.classes[:10]))
    more = ", …" if len(target.classes) > 10 else ""
    return f"{len(target.classes)} classes, {shown}{more}"


def _use(column: Column) -> str:
    told = " and whether it is missing" if column.tells_missing else ""
    match column.kind:
        case "none":
            return "left out"
        case "category":
            return f"category with {len(column.categories)} values"
        case "date":
            return "date: " + ", ".join(part.name for part in column.parts) + told
        case "number" | "flag":
            return (column.kind if column.parts else "constant") + told


def as_json(value: Column | Target) -> dict[str, Any]:
    """What `from_json` takes."""
    return asdict(value)
