"""A text as windows of codes: its vocabulary, and which part trains, validates, or is set aside."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.catalog import DataRefused, DataShape
from models.data.texts.options import TextOptions
from models.data.texts.reading import Points, read_points

Codes = npt.NDArray[Any]

_CODE_POINTS: Final = 0x110000
#: How many strange characters a sentence shows.
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of one part, in its order and without overlap.

    `labels` (N, context) are `inputs` (N, context) moved by one character: what comes next.
    """

    inputs: Codes
    labels: Codes

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedText:
    """A text, divided by position, in codes."""

    characters: int
    #: Those of the training part, sorted; the code of each is its place.
    vocabulary: str
    #: Those that only occur behind the training part, sorted. They share one code, the last.
    strange: str
    train: Windows
    val: Windows
    test: Windows | None

    @property
    def context(self) -> int:
        """Characters a window has."""
        return int(self.train.inputs.shape[1])

    @property
    def shape(self) -> DataShape:
        """What models and losses need to know of it."""
        classes = len(self.vocabulary) + bool(self.strange)
        return DataShape(
            input_shape=(self.context,),
            classes=classes,
            train_rows=len(self.train),
            val_rows=len(self.val),
            test_rows=len(self.test) if self.test else 0,
            labels=(0, classes - 1),
            kind="text",
        )

    def describe(self) -> tuple[str, ...]:
        """What was made of the text, in sentences."""
        aside = f", {len(self.test):,} from its end are set aside" if self.test else ""
        sentences = (
            f"The text has {self.characters:,} characters, {len(self.vocabulary):,} different ones "
            "in the part that trains; each is a class.",
            f"It is cut into windows of {self.context} characters, of each of which the next one "
            f"is predicted: {len(self.train):,} from its beginning train, the {len(self.val):,} "
            f"after them validate{aside}.",
        )
        if not self.strange:
            return sentences
        shown = " ".join(map(repr, self.strange[:_SHOWN]))
        more = " …" if len(self.strange) > _SHOWN else ""
        return (
            *sentences,
            f"{len(self.strange):,} characters do not occur in the part that trains ({shown}"
            f"{more}): they share one code, which no network learns.",
        )


def prepare_text(path: Path, options: TextOptions) -> PreparedText:
    """The text in the file at `path`, which must be one the user may read.

    Raises:
        DataRefused: the file is no text, too short or too large, or has one character only.
    """
    points = read_points(path)
    context = options.context_of(len(points))
    _check_length(path, len(points), context, options)
    test = int(len(points) * _exact(options.test))
    val = int((len(points) - test) * _exact(options.validation))
    ends = (len(points) - test - val, len(points) - test)
    vocabulary, strange = _characters(points, ends[0])
    if len(vocabulary) < 2:
        raise DataRefused(
            f"The part of {path.name} that trains has one character only, {chr(vocabulary[0])!r}; "
            "there is nothing to predict: take another text."
        )
    codes = _coded(points, vocabulary, unknown=len(strange) > 0)
    train, middle, end = np.split(codes, ends)
    return PreparedText(
        characters=len(points),
        vocabulary="".join(map(chr, vocabulary)),
        strange="".join(map(chr, strange)),
        train=_windows(train, context),
        val=_windows(middle, context),
        test=_windows(end, context) if test else None,
    )


def _characters(points: Points, train: int) -> tuple[Points, Points]:
    """The different characters of the first `train`, and those that only come later; sorted."""
    occurs, learned = (np.zeros(_CODE_POINTS, dtype=np.bool_) for _ in range(2))
    occurs[points] = True
    learned[points[:train]] = True
    vocabulary, strange = np.flatnonzero(learned), np.flatnonzero(occurs & ~learned)
    return vocabulary.astype(np.uint32), strange.astype(np.uint32)


def _coded(points: Points, vocabulary: Points, *, unknown: bool) -> Codes:
    """Each character's code (N,), in a byte where the codes fit."""
    small = len(vocabulary) + unknown <= 256
    code_of = np.full(_CODE_POINTS, len(vocabulary), dtype=np.int32)
    code_of[vocabulary] = np.arange(len(vocabulary))
    codes: Codes = (code_of.astype(np.uint8) if small else code_of)[points]
    return codes


def _windows(codes: Codes, context: int) -> Windows:
    """As many whole windows as there are; both arrays are views of `codes`."""
    count = (len(codes) - 1) // context
    inputs, labels = codes[: count * context], codes[1 : count * context + 1]
    return Windows(inputs=inputs.reshape(-1, context), labels=labels.reshape(-1, context))


def _check_length(path: Path, characters: int, context: int, options: TextOptions) -> None:
    """Training has two windows, every other part one, each with the character after it."""
    test, validation = _exact(options.test), _exact(options.validation)
    wanted = [
        ((1 - test) * (1 - validation), 2 * context + 1),
        ((1 - test) * validation, context + 1),
        (test, context + 1),
    ]
    needed = max(ceil(least / share) for share, least in wanted if share)
    if characters < needed:
        parts = "validation and test" if test else "validation"
        raise DataRefused(
            f"{path.name} has {characters:,} characters; with windows of {context} at least "
            f"{needed:,} are needed, for two windows to train and one for {parts}: take a longer "
            "text, or a smaller context."
        )


def _exact(share: float) -> Fraction:
    return Fraction(repr(share))
