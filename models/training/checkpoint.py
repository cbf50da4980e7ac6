"""A training stopped after an epoch or amid one, in one file: it goes on to the last bit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from models.catalog import DataShape
from models.files import Buffer, write_whole
from models.packed import pack
from models.recipe import Recipe
from models.sealed import Damaged, seal_text, unpack
from models.training.members import PREFIX, count_members, named

_FORMAT: Final = 2
#: Begins the name of every tensor of an epoch under way.
PARTIAL: Final = "partial"


class CheckpointCorrupt(Exception):
    """The file is not a complete checkpoint as it was written."""

    def __init__(self, name: str | Path, why: str) -> None:
        super().__init__(f"{name} is no whole checkpoint: {why}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All of a training after `epoch` whole epochs and `step` steps; the schedule follows from it.

    `tensors` are called ``model.<name>``, ``optimizer.<parameter's index>.<name>``,
    ``random.cpu`` and, from a GPU, ``random.cuda``. Where weights are averaged and there is an
    average, it is ``average.module.<name>`` with ``average.n_averaged``; of float16, whose losses
    are scaled, there are ``precision.scale`` and ``precision._growth_tracker``. Of a committee
    every name begins with ``members.<number>.``. Amid an epoch there are ``partial.order``, the
    rows of all its steps, and of those taken ``partial.losses``, ``partial.correct`` (labels) and
    ``partial.seconds``.
    """

    recipe: Recipe
    shape: DataShape
    #: What turned rows into the network's inputs, as `models.data.preparation` writes it.
    preparation: Mapping[str, Any]
    #: Of the data it was trained on.
    fingerprint: str
    epoch: int
    step: int
    #: The metrics of every epoch so far, so that whoever goes on knows what came before.
    curve: Sequence[Mapping[str, float]]
    tensors: Mapping[str, Tensor]

    @property
    def metrics(self) -> Mapping[str, float]:
        """The newest epoch's."""
        return self.curve[-1]

    @property
    def amid_epoch(self) -> bool:
        """Whether there are steps of an epoch that has not ended; no metrics are of these."""
        return f"{PARTIAL}.order" in self.tensors

    @property
    def network(self) -> dict[str, Tensor]:
        """The weights that were judged and are taken away: the average where there is one, and of
        a committee those of all its members."""
        weights = self.part("average.module") or self.part("model")
        for number in range(count_members(self.tensors)):
            member = replace(self, tensors=self.part(f"{PREFIX}.{number}"))
            weights |= named(number, member.network)
        return weights

    def copied(self, into: "Checkpoint | None" = None) -> "Checkpoint":
        """One that stays as this is now, on the CPU and in one piece of memory.

        That of `into`, a copy nobody needs any more, is used again if the tensors fit there.
        """
        return replace(self, tensors=pack(self.tensors, into.tensors if into else None))

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below `prefix`, without it."""
        start = prefix + "."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


class Sealer:
    """Seals the checkpoints of one training, one after the other. Not for two threads at once.

    What one says that the next says again, the curve above all, becomes text once: numbers take
    longer to write as text than a small network's tensors take to copy, checksum and write.
    """

    def __init__(self) -> None:
        self._origin: tuple[object, ...] = ()
        self._origin_text = ""
        self._curve: list[Mapping[str, float]] = []
        self._curve_texts: list[str] = []

    def seal(self, checkpoint: Checkpoint) -> list[Buffer]:
        """The file's bytes, in parts that are the checkpoint's own memory."""
        return seal_text(checkpoint.tensors, self._document(checkpoint))

    def _document(self, checkpoint: Checkpoint) -> str:
        place = _members({"epoch": checkpoint.epoch, "step": checkpoint.step})
        curve = ", ".join(self._texts(checkpoint.curve))
        return f'{{{self._text_of_origin(checkpoint)}, {place}, "curve": [{curve}]}}'

    def _text_of_origin(self, checkpoint: Checkpoint) -> str:
        """What does not change as training goes on."""
        preparation, fingerprint = checkpoint.preparation, checkpoint.fingerprint
        origin = checkpoint.recipe, checkpoint.shape, preparation, fingerprint
        if origin != self._origin:
            self._origin = origin
            self._origin_text = _members(
                {
                    "format": _FORMAT,
                    "recipe": checkpoint.recipe.to_json(),
                    "shape": asdict(checkpoint.shape),
                    "preparation": dict(preparation),
                    "fingerprint": fingerprint,
                }
            )
        return self._origin_text

    def _texts(self, curve: Sequence[Mapping[str, float]]) -> Sequence[str]:
        """The metrics of each epoch, as JSON."""
        known = zip(self._curve, curve, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], known))
        self._curve[same:] = curve[same:]
        self._curve_texts[same:] = (json.dumps(dict(metrics)) for metrics in curve[same:])
        return self._curve_texts


def _members(document: Mapping[str, Any]) -> str:
    """The inside of a JSON object."""
    return json.dumps(document)[1:-1]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> int:
    """Write the file, whole or not at all; its size in bytes."""
    return write_whole(path, *Sealer().seal(checkpoint))


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in the file.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
        FileNotFoundError: there is none.
    """
    return open_checkpoint(path.read_bytes(), str(path))


def open_checkpoint(data: bytes, name: str) -> Checkpoint:
    """The checkpoint in a file's bytes; `name` is the file's, for who reads of damage.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    try:
        tensors, document = unpack(data)
    except Damaged as error:
        raise CheckpointCorrupt(name, str(error)) from error
    if document.pop("format", None) != _FORMAT:
        raise CheckpointCorrupt(name, "it is another kind of file")
    return Checkpoint(
        recipe=Recipe.from_json(document.pop("recipe")),
        shape=DataShape.from_json(document.pop("shape")),
        tensors=tensors,
        **document,
    )
