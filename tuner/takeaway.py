"""The best network of a job, taken away from the server and put to use here."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from models.catalog import DataRefused
from models.data.preparation import preparation_of
from models.exported.continuation import Drawing
from models.exported.export import open_model
from models.exported.predict import Answers, answers_of
from models.exported.predict import predict as answer
from models.importing import PartRefused
from models.training.checkpoint import CheckpointCorrupt
from tuner.client import Client
from tuner.errors import TunerError
from tuner.foreign.entering import enter_folder
from tuner.settings import Settings


class PredictionRefused(TunerError):
    """The rows are not such as the network was trained with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A network with all that was learned for it. Called, it is the network: prepared inputs in,
    logits or numbers out."""

    #: In evaluation mode, on the CPU.
    network: nn.Module
    #: What its file says of it: see `models.exported.export.describe_model`.
    about: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "TrainedModel":
        """The network in a safetensors file that a job left.

        Raises:
            CheckpointCorrupt: it is damaged, or another kind of file.
            PartRefused: it needs code by import path that TUNER_ALLOWED_CODE does not list here.
        """
        about, network = open_model(path, Settings().allowed_code)
        return cls(network=network, about=about)

    def __call__(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(inputs)
        return outputs

    def prepare(self, rows: Tensor) -> Tensor:
        """Images as bytes (B, C, H, W) as the network wants them; rows of other kinds of data are
        prepared from their file, by `predict`."""
        return preparation_of(self.about["preparation"])(rows)

    def predict(self, rows: str | Path) -> Answers:
        """What the network says of the raw rows in a file; see `models.exported.predict.predict`.

        Raises:
            PredictionRefused: a column is absent, a value is wrong, or it is another kind of file.
        """
        try:
            return answers_of(self.about, self.network, Path(rows))
        except DataRefused as error:
            raise PredictionRefused(str(error)) from error


def load_model(
    job: str | Path, *, url: str | None = None, token: str | None = None
) -> TrainedModel:
    """The best trial's network of a job, or that in a safetensors file.

    Raises:
        CheckpointCorrupt: the file is damaged, or of another kind.
        PartRefused: it needs code by import path that TUNER_ALLOWED_CODE does not list here.
        ApiError, ServerUnreachable: the server has no such network, or there is no server.
    """
    if isinstance(job, Path) or job.endswith(".safetensors"):
        return TrainedModel.read(Path(job))
    with Client(url, token=token) as client, TemporaryDirectory() as folder:
        file = client.find(job).download_model(Path(folder) / "model.safetensors")
        return TrainedModel.read(file)


def predict(
    client: Client, job: str, rows: Path, *, code: Path | None = None, **drawing: Any
) -> Answers:
    """What the best trial's network says of the rows in a file or of a folder of images, or how a
    text goes on.

    `code` is a folder from which code by import path comes, to be imported by this process for
    good. `drawing` are the fields of `models.exported.continuation.Drawing`, for a text.

    Raises:
        PredictionRefused: a column is absent, a value is wrong, the file is another kind, or the
            network needs code by import path that neither TUNER_ALLOWED_CODE lists here nor `code`
            has.
        CodeRefused: `code` is no folder with code in it.
        ApiError, ServerUnreachable: the server has no such network, or there is no server.
    """
    with TemporaryDirectory() as folder:
        model = client.find(job).download_model(Path(folder) / "model.safetensors")
        try:
            allowed = Settings().allowed_code + (() if code is None else enter_folder(code))
            return answer(model, rows, Drawing(**drawing), allowed_code=allowed)
        except (DataRefused, CheckpointCorrupt, PartRefused) as error:
            raise PredictionRefused(str(error)) from error


def as_json(answers: Answers) -> str:
    """A line: ``predictions`` and ``probabilities``, or of a text how it goes on, ``text``."""
    if answers.text is not None:
        return json.dumps({"text": answers.text}) + "\n"
    document = {"predictions": answers.values, "probabilities": answers.probabilities}
    return json.dumps(document | ({"files": answers.files} if answers.files else {})) + "\n"


def as_csv(answers: Answers) -> str:
    """A line per row: the prediction, of classes the probability of each, and first the row's
    file, where it is one of its own."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    names = list(answers.probabilities)
    files = {"file": answers.files} if answers.files else {}
    lines.writerow([*files, "prediction", *(f"p({name})" for name in names)])
    columns = [[f"{share:.6g}" for share in answers.probabilities[name]] for name in names]
    lines.writerows(zip(*files.values(), answers.values, *columns, strict=True))
    return text.getvalue()
