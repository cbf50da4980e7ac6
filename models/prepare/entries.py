"""The catalogue entries of what stands in front of a network. Torch-free."""

from typing import Final

from models.catalog import PreparerEntry
from models.hyperparameters import Choice, Real


def _one_channel(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    return 1, *input_shape[1:]


def _not_coloured(input_shape: tuple[int, ...]) -> str | None:
    if input_shape[0] == 3:
        return None
    return f"makes one channel of 3, and these images have {input_shape[0]}: leave it out."


CLIP: Final = PreparerEntry(
    name="clip",
    summary="Numbers farther from their mean than so many standard deviations are taken for that "
    "far: what is rare and extreme pulls less.",
    source="arXiv:2407.04491, section 3.1",
    build="models.prepare.clip:Clip",
    hyperparameters=(
        Real(name="clip", low=2.0, high=10.0, default=3.0, log=True,
             source="3, smoothly: arXiv:2407.04491, section 3.1; wider for what is rare and true"),
    ),
    kinds=("table", "series"),
)  # fmt: skip

GRAYSCALE: Final = PreparerEntry(
    name="grayscale",
    summary="Images of three channels become images of one: how bright they are.",
    source="Recommendation ITU-R BT.601-7, section 2.5.1",
    build="models.prepare.grayscale:Grayscale",
    hyperparameters=(
        Choice(name="grayscale", choices=(False, True), default=True,
               source="common practice where colour says nothing of the target"),
    ),
    kinds=("image",),
    shape=_one_channel,
    refuses=_not_coloured,
)  # fmt: skip

INSTANCE_NORM: Final = PreparerEntry(
    name="instance_norm",
    summary="Each channel of an image or a series is standardised by itself: its level and its "
    "spread no longer count.",
    source="Kim et al., RevIN, ICLR 2022, section 3.1; arXiv:1607.08022",
    build="models.prepare.instance_norm:InstanceNorm",
    hyperparameters=(
        Choice(name="instance_norm", choices=(False, True), default=True,
               source="Kim et al., RevIN, ICLR 2022, section 3.1"),
    ),
    kinds=("image", "series"),
)  # fmt: skip
