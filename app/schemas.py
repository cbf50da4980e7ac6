"""Shapes that exist on the wire only."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tuner.spec import Scalar
from tuner.views import View


class Enqueue(BaseModel):
    """Parameters to try next; what is left out takes its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    params: dict[str, Scalar]


class Health(View):
    """The answer of a probe."""

    status: Literal["alive", "ready"]


class ProblemKind(View):
    """A kind of error, as a problem's ``type`` names it."""

    type: str
    status: int
    title: str
    hint: str | None = None


class ProblemKinds(View):
    """All kinds of errors."""

    problems: list[ProblemKind]
