"""What the configurations of a job must meet beside lying in its space."""

from collections.abc import Collection, Sequence

from models.hyperparameters import Config
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.expressions.reading import Expression, ExpressionRefused, parse_expression
from tuner.space import Space


def constraints_of(
    texts: Sequence[str], space: Space, *, unknown: Collection[str] = ()
) -> tuple[Expression, ...]:
    """The constraints that a spec has; its default configuration meets them all.

    Of the `unknown` parameters a probe is to find the range, so nothing can be checked of them.

    Raises:
        SpecInvalid: each fault names the constraint and a remedy.
    """
    faults: list[Fault] = []
    constraints: list[Expression] = []
    for index, text in enumerate(texts):
        try:
            constraint = parse_expression(text)
        except ExpressionRefused as error:
            faults.append(_fault(index, text, "expression", f"{error}."))
            continue
        strange = _strange(constraint, space, unknown)
        if strange is not None:
            faults.append(_fault(index, text, "unknown-parameter", strange))
        elif (complaint := constraint.complaint(space.defaults())) is not None:
            detail = (
                f"it {complaint}, the default configuration; give these parameters a `default` "
                "that meets it, or change it."
            )
            faults.append(_fault(index, text, "default", detail))
        constraints.append(constraint)
    if faults:
        raise SpecInvalid(faults)
    return tuple(constraints)


def violations(constraints: Sequence[Expression], config: Config, pointer: str) -> list[Fault]:
    """A fault for each constraint that `config`, which somebody wants at `pointer`, violates."""
    complaints = ((c.text, c.complaint(config)) for c in constraints)
    return [
        Fault(
            pointer=pointer,
            code="constraint",
            detail=f"The constraint {text!r} {complaint}; choose others.",
        )
        for text, complaint in complaints
        if complaint is not None
    ]


def _strange(constraint: Expression, space: Space, unknown: Collection[str]) -> str | None:
    """What is wrong with the names in it."""
    for name in sorted(constraint.names):
        if not space.names:
            return (
                f"nobody knows {name!r} beforehand, since the objective suggests its parameters "
                "itself; declare a space."
            )
        if name not in space.names:
            return f"{name!r} is no parameter of this job: {nearest(name, space.names)}"
        if name in unknown:
            return f"nobody knows the range of {name} before the probe; write it in `space`."
    return None


def _fault(index: int, text: str, code: str, detail: str) -> Fault:
    return Fault(
        pointer=f"/constraints/{index}",
        code=code,
        detail=f"constraints.{index} = {text!r}: {detail}",
    )
