"""What a spec says of a table, and whether it makes sense. Imports neither NumPy nor pyarrow."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from models.catalog import DataRefused

TASKS: Final = ("auto", "classes", "number")
SCALINGS: Final = ("standard", "quantile", "yeo-johnson")
#: Larger shares leave more to judge by than to learn from.
LARGEST_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """How a table's columns are used and its rows divided.

    Raises:
        DataRefused: a share, the task or the scaling is impossible, or one column has two roles.
    """

    #: The column to predict.
    target: str
    #: Rows with one value of this column stay on one side of every division.
    group: str | None = None
    #: Rows are divided by this column: the latest are the test split, those before validate. Of
    #: series, the column that orders the rows of each; it divides nothing.
    time: str | None = None
    #: Rows with one value of this column are a series, and stay on one side of every division.
    series: str | None = None
    #: Share of the rows set aside and never used in the search; 0 for none.
    test: float = 0.2
    #: Share of the other rows that validates.
    validation: float = 0.2
    #: Columns that are not used.
    ignore: tuple[str, ...] = ()
    #: Columns of numbers that are codes, such as a postcode: each value is a category.
    categories: tuple[str, ...] = ()
    #: What the target is: ``classes``, ``number``, or ``auto``, which looks at its values.
    task: str = "auto"
    #: Of numbers: ``standard`` gives them mean 0 and deviation 1; ``quantile`` first bends them
    #: into a normal distribution, which draws long tails in (arXiv:2106.11959, "Data
    #: preprocessing"); ``yeo-johnson`` bends them by the power that makes them most normal
    #: (Biometrika 87(4), 2000), and leaves outliers outside.
    scaling: str = "standard"

    def __post_init__(self) -> None:
        check_shares(test=self.test, validation=self.validation)
        if self.task not in TASKS:
            raise DataRefused(f"task = {self.task!r} must be one of {', '.join(TASKS)}.")
        if self.scaling not in SCALINGS:
            raise DataRefused(f"scaling = {self.scaling!r} must be one of {', '.join(SCALINGS)}.")
        if self.group is not None and self.time is not None and self.series is None:
            raise DataRefused(
                f"group = {self.group!r} and time = {self.time!r} both divide the rows; keep one."
            )
        self._check_roles()
        self._check_series()

    @property
    def examples(self) -> str:
        """What the examples are, in a word."""
        return "rows" if self.series is None else "series"

    def _check_series(self) -> None:
        """Nothing is said of series that only means something of rows."""
        if self.series is None:
            return
        for role, name in (("group", self.group), ("time", self.time)):
            if name == self.series:
                raise DataRefused(
                    f"{role} = {name!r} is also the column of series; leave {role} out, or name "
                    "another column."
                )
        if self.scaling != "standard":
            raise DataRefused(
                f"scaling = {self.scaling!r} is for tables without series, whose numbers are "
                "always scaled by standard; leave it out."
            )
        if self.categories:
            raise DataRefused(
                f"categories lists {self.categories[0]!r}, but a series has channels of numbers "
                "only; list it under ignore."
            )

    def _check_roles(self) -> None:
        """The target, the group and what is ignored are different columns."""
        roles = (("group", self.group), ("time", self.time), ("series", self.series))
        for role, name in roles:
            if name == self.target:
                raise DataRefused(f"{role} = {name!r} is also the target; name another column.")
            if name in self.ignore:
                raise DataRefused(f"ignore lists {name!r}, which is {role}; remove it.")
        for role, names in (("ignore", self.ignore), ("categories", self.categories)):
            if self.target in names:
                raise DataRefused(f"{role} lists {self.target!r}, which is the target; remove it.")
        both = sorted({*self.ignore} & {*self.categories})
        if both:
            raise DataRefused(f"ignore and categories both list {both[0]!r}; remove it from one.")

    def check_columns(self, names: Iterable[str]) -> None:
        """Every column the options name is there.

        Raises:
            DataRefused: one is not; the message suggests the nearest name.
        """
        there = tuple(names)
        roles = [("target", self.target), ("group", self.group), ("time", self.time)]
        roles += [("series", self.series)]
        roles += [("ignore", name) for name in self.ignore]
        roles += [("categories", name) for name in self.categories]
        for role, name in roles:
            if name is not None and name not in there:
                raise DataRefused(f"{role} names column {name!r}, {absent(name, there)}")


def check_shares(*, test: float, validation: float) -> None:
    """The shares leave most of the data to learn from.

    Raises:
        DataRefused: one of them does not.
    """
    if not 0 <= test <= LARGEST_SHARE:
        raise DataRefused(f"test = {test!r} must be a share from 0 to {LARGEST_SHARE}.")
    if not 0 < validation <= LARGEST_SHARE:
        raise DataRefused(
            f"validation = {validation!r} must be a share above 0, to {LARGEST_SHARE}."
        )


def absent(name: str, there: tuple[str, ...]) -> str:
    """The end of a sentence: the table has no column `name`, with what may have been meant."""
    lower = {column.lower(): column for column in there}
    near = [lower[match] for match in get_close_matches(name.lower(), lower, n=1)]
    if near:
        return f"which the table does not have; did you mean {near[0]!r}?"
    listed = ", ".join(map(repr, there[:8])) + (", …" if len(there) > 8 else "")
    return f"which the table does not have; it has {listed}."
