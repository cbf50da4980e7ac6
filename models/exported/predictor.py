"""A trained network as a predictor: prepared, computed and answered without a package of ours.

``python -m models.exported.predictor MODEL TARGET FORMAT [MODULE …]`` writes one, in a process that
may take its time; it imports code of others from these modules only.
"""

import importlib.util
import io
import json
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from models.catalog import DataShape
from models.data.preparation import ImagePreparation, preparation_of
from models.entries import loss_entry
from models.exported.export import open_model
from models.files import write_whole
from models.importing import PartRefused
from models.losses.probabilities import probabilities_of
from models.training.checkpoint import CheckpointCorrupt

#: What a program's rows are; where they are prepared already, as its network takes them.
_ROWS: Final = {"image": torch.uint8, "text": torch.int64}
_ONNX_PACKAGES: Final = ("onnx", "onnxscript")
#: What this process ends with where a program is refused; the reason is on standard error.
REFUSED: Final = 3
LIMIT_S: Final = 300


class FormatRefused(Exception):
    """The network cannot be had in this format; the message says what is missing."""


class Predictor(nn.Module):
    """Preparation, network and answer in one.

    Takes images as bytes (B, C, H, W), all else as prepared rows (B, …). Returns probabilities
    (B, classes), or scores where the loss knows none, or numbers (B,) in the target's own unit.
    """

    def __init__(self, network: nn.Module, about: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.preparation = preparation_of(about["preparation"])
        self.shape = DataShape.from_json(about["shape"])
        self.loss = str(about["recipe"]["loss"])
        self.unit = about["preparation"].get("unit", 1.0)
        self.zero = about["preparation"].get("zero", 0.0)

    @property
    def output(self) -> str:
        """The name of what it returns."""
        if not self.shape.classes:
            return "predictions"
        known = loss_entry(self.loss).probabilities != "none"
        return "probabilities" if known else "scores"

    def example(self) -> Tensor:
        """Two rows of the kind it takes."""
        rows = _ROWS.get(self.shape.kind, torch.float32)
        if isinstance(self.preparation, ImagePreparation) and self.preparation.floats:
            rows = torch.float32
        return torch.zeros(2, *self.shape.input_shape, dtype=rows)

    def forward(self, rows: Tensor) -> Tensor:
        outputs: Tensor = self.network(self.preparation(rows))
        if self.shape.classes:
            shares = probabilities_of(self.loss, outputs)
            return outputs if shares is None else shares
        numbers = outputs.squeeze(1)
        return (
            numbers.exp()
            if loss_entry(self.loss).link == "log"
            else numbers * self.unit + self.zero
        )


def read_predictor(
    model: Path, allowed_code: Sequence[str] = ()
) -> tuple[Predictor, dict[str, Any]]:
    """The exported network in `model` with what it needs, and what the file says of itself.

    Raises:
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        PartRefused: it needs code by import path that is not allowed, or not there.
    """
    about, network = open_model(model, allowed_code)
    # Weights in channels-last order would be packed as parts of something larger.
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Predictor(network, about).eval(), about


def export_program(model: Path, allowed_code: Sequence[str] = ()) -> bytes:
    """A file for `torch.export.load`: any number of rows, ``about.json`` beside the program.

    Raises:
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        PartRefused: it needs code by import path that is not allowed, or not there.
    """
    predictor, about = read_predictor(model, allowed_code)
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        exported = torch.export.export(
            predictor, (predictor.example(),), dynamic_shapes=({0: batch},)
        )
    file = io.BytesIO()
    torch.export.save(exported, file, extra_files={"about.json": json.dumps(about)})
    return file.getvalue()


def export_onnx(model: Path, allowed_code: Sequence[str] = ()) -> bytes:
    """An ONNX file: input ``rows``, any number of them; what it is of stands in its metadata,
    under ``tuner``.

    Raises:
        FormatRefused: torch's exporter lacks a package.
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        PartRefused: it needs code by import path that is not allowed, or not there.
    """
    missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise FormatRefused(
            f"ONNX needs {' and '.join(missing)}: pip install 'tuner[onnx]' where this runs."
        )
    predictor, about = read_predictor(model, allowed_code)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of what it does itself
        exported = torch.onnx.export(
            predictor,
            (predictor.example(),),
            dynamic_shapes=({0: "batch"},),
            input_names=["rows"],
            output_names=[predictor.output],
            dynamo=True,
            verbose=False,
        )
    assert exported is not None
    exported.model.metadata_props["tuner"] = json.dumps(about)
    data: bytes = exported.model_proto.SerializeToString()
    return data


FORMATS: Final = {"torch_export": export_program, "onnx": export_onnx}


def main(arguments: Sequence[str]) -> int:
    """Write the network in MODEL to TARGET in FORMAT, whole or not at all."""
    model, target, file_format, *allowed_code = arguments
    # Whoever started this may be gone and count the time no more.
    signal.alarm(LIMIT_S)
    try:
        write_whole(Path(target), FORMATS[file_format](Path(model), allowed_code))
    except (FormatRefused, CheckpointCorrupt, PartRefused) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
