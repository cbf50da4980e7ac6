"""How many networks a trial trains, each validated by another part of the rows, and why."""

from models.catalog import DataShape
from tuner.errors import Fault
from tuner.planning.extremes import ends
from tuner.space import Space

_NAME = "folds"


def fold_faults(space: Space, shape: DataShape) -> list[Fault]:
    """What is wrong where a job's space wants more folds than its rows can be dealt into."""
    most = max(int(value) for value in ends(space[_NAME]))
    if most == 1:
        return []
    if not shape.exchangeable:
        return [
            _fault(
                f"{_NAME} = {most}: every row would validate once, but these say themselves which "
                "of them validate, by a group, by time or in files of their own: write folds: 1."
            )
        ]
    fewest = min(shape.class_rows, default=shape.train_rows + shape.val_rows)
    if fewest < most:
        what = "the smallest class has" if shape.class_rows else "there are only"
        return [_fault(f"{_NAME} = {most}: {what} {fewest} rows; write {_NAME}: {fewest} or less.")]
    return []


def fold_notes(space: Space, shape: DataShape) -> tuple[str, ...]:
    """A sentence where a trial is more than one network."""
    folds = space.defaults()[_NAME]
    if folds == 1 or len(ends(space[_NAME])) > 1:
        return ()
    return (
        f"A trial trains {folds} networks, each validated by another part of the rows, since only "
        f"{shape.val_rows} rows would validate one; it is judged by their mean, and they answer "
        "together. space: {folds: 1} trains one.",
    )


def _fault(detail: str) -> Fault:
    return Fault(pointer=f"/space/{_NAME}", code="folds", detail=detail)
