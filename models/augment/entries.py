"""The augmentations' catalogue entries, and which a job gets that says nothing. Torch-free.

They are listed in the order in which they are applied.
"""

from dataclasses import dataclass
from typing import Final

from models.catalog import AugmentationEntry, DataShape
from models.hyperparameters import Choice, Real

#: Regularisation pays where a network sees the same images often; shorter trainings end before,
#: and would only learn more slowly. What moves an image slows it the least: nothing is hidden, cut
#: or mixed.
MIN_EPOCHS: Final = 30
MIN_EPOCHS_MOVED: Final = 15
#: Of smaller images every pixel matters: one is a large part of a stroke.
MIN_SIDE: Final = 16
#: Share of an image's sides by which it moves where a spec says nothing else.
WIDEST_SHIFT: Final = 0.1

CROP: Final = AugmentationEntry(
    name="crop",
    summary="A random part of the image, resized to the whole: up to a share of its area is lost.",
    source="arXiv:1409.4842, section 6",
    build="models.augment.crop:Crop",
    strength=Real(
        name="crop", low=0.0, high=0.9, default=0.3, step=0.1,
        source="0.92 for large photographs: arXiv:1409.4842, section 6; small images bear less",
    ),
)  # fmt: skip

SHIFT: Final = AugmentationEntry(
    name="shift",
    summary="The image moves by whole pixels, up to a share of its sides, and black comes in; a "
    "series moves in time.",
    source="arXiv:1512.03385, section 4.2",
    build="models.augment.shift:Shift",
    strength=Real(
        name="shift", low=0.0, high=WIDEST_SHIFT, default=0.05, step=0.05,
        source="below the 4 of 32 pixels of long trainings: arXiv:1512.03385, section 4.2",
    ),
    kinds=("image", "series"),
)  # fmt: skip

FLIP: Final = AugmentationEntry(
    name="flip",
    summary="Half of the images, by chance, are mirrored left to right.",
    source="arXiv:1512.03385, section 4.2",
    build="models.augment.flip:Flip",
    strength=Choice(
        name="flip", choices=(False, True), default=True, source="arXiv:1512.03385, section 4.2"
    ),
)

WARP: Final = AugmentationEntry(
    name="warp",
    summary="Time runs faster here and slower there, smoothly; the deviation of the speed's "
    "logarithm.",
    source="arXiv:1706.00527, time-warping",
    build="models.augment.warp:Warp",
    strength=Real(
        name="warp", low=0.0, high=0.4, default=0.2, step=0.1,
        source="0.2: the authors' code for arXiv:1706.00527; up to twice as much",
    ),
    kinds=("series",),
)  # fmt: skip

NOISE: Final = AugmentationEntry(
    name="noise",
    summary="Gaussian noise on every pixel or value, as a share of their own deviation.",
    source="Bishop, Neural Computation 7(1), 1995",
    build="models.augment.noise:Noise",
    strength=Real(
        name="noise", low=0.0, high=0.3, default=0.1, step=0.05,
        source="common practice: visible, but no more than a third of what the images vary",
    ),
    kinds=("image", "series"),
)  # fmt: skip

CUTOUT: Final = AugmentationEntry(
    name="cutout",
    summary="A box whose sides are a share of the image's is hidden; of a series, a span of time.",
    source="arXiv:1708.04552",
    build="models.augment.cutout:Cutout",
    strength=Real(
        name="cutout", low=0.0, high=0.5, default=0.25, step=0.125,
        source="8 and 16 of 32 pixels: arXiv:1708.04552, section 4.1",
    ),
    kinds=("image", "series"),
)  # fmt: skip

MIXUP: Final = AugmentationEntry(
    name="mixup",
    summary="Pairs of examples are mixed, and their labels with the same share; alpha of the beta "
    "distribution that the share is from.",
    source="arXiv:1710.09412",
    build="models.augment.mixup:Mixup",
    strength=Real(
        name="mixup", low=0.0, high=0.4, default=0.2, step=0.1,
        source="0.1 to 0.4: arXiv:1710.09412, section 3.1",
    ),
    kinds=("image", "series"),
    mixes=True,
)  # fmt: skip

CUTMIX: Final = AugmentationEntry(
    name="cutmix",
    summary="A box comes from another image, and labels mix by area; alpha of the beta "
    "distribution that the area is from.",
    source="arXiv:1905.04899",
    build="models.augment.cutmix:CutMix",
    strength=Real(
        name="cutmix", low=0.0, high=1.0, default=1.0, step=0.25,
        source="1: arXiv:1905.04899, section 3.1",
    ),
    mixes=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """An augmentation worth a try on some data, and why, as a clause."""

    name: str
    reason: str
    #: Whether an expert would start with it, at its usual strength.
    on: bool = False


#: The `resnet` had learned Fashion-MNIST's images by heart after 25 epochs, and got no further than
#: 0.9145 of the validation images; with images moved by a pixel it had 0.9336 after 20.
_SHIFTED: Final = Suggestion(
    name="shift", reason="an image a few pixels aside shows what it showed before", on=True
)
_FLIPPED: Final = Suggestion(
    name="flip",
    reason="nothing tells whether a mirrored image is of the same class (a digit is not), so "
    "validation, where no image is flipped, decides",
)
_CUT: Final = Suggestion(
    name="cutout",
    reason="hiding a part keeps a network from leaning on it, but slows it down at first",
)
_MIXED: Final = Suggestion(
    name="mixup",
    reason="mixed pairs keep a network from being too sure, but slow it down at first",
)

_WARPED: Final = Suggestion(
    name="warp",
    reason="nothing tells whether a series a little faster or slower is of the same class, so "
    "validation, where time runs as it does, decides",
)
_NOISY: Final = Suggestion(
    name="noise", reason="a series measured a little less exactly means what it meant before"
)


def default_augmentations(shape: DataShape, epochs: int) -> tuple[Suggestion, ...]:
    """What to search where the job says nothing, and what of it is on in its first trial.

    A practitioner looks at the images first; here only their shape is known. So nothing is on
    that could make an image another class's, or that would hide, cut or mix what is learned: that
    leaves small shifts, the usual first measure. What is searched is judged on validation images
    as they are: a flip that makes digits unreadable costs accuracy there and is dropped, one that
    is harmless wins. Four strengths are few enough for a search, and each can be exactly zero.
    Crops, noise and cutmix do what shift, cutout and mixup do already; they come when asked for.

    Of series noise is searched: a measurement is never quite exact. Warps are, where the target is
    a class; a number may well be told by the tempo.

    Tables, tiny images, short series and short trainings get none: see `MIN_SIDE` and
    `MIN_EPOCHS`.
    """
    if shape.kind == "series":
        if shape.input_shape[1] < MIN_SIDE or epochs < MIN_EPOCHS:
            return ()
        return (_WARPED, _NOISY) if shape.classes else (_NOISY,)
    if shape.kind != "image" or min(shape.input_shape[1:]) < MIN_SIDE or epochs < MIN_EPOCHS_MOVED:
        return ()
    if epochs < MIN_EPOCHS:
        return (_SHIFTED, _FLIPPED)
    return (_SHIFTED, _FLIPPED, _CUT, _MIXED) if shape.classes else (_SHIFTED, _FLIPPED, _CUT)
