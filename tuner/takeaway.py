"""The best network of a job, taken away from the server and put to use here."""

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from models.catalog import DataRefused
from models.checkpoint import CheckpointCorrupt
from models.continuation import Drawing
from models.export import load_model as load
from models.predict import Answers
from models.predict import predict as answer
from tuner.client import Client
from tuner.errors import TunerError


class PredictionRefused(TunerError):
    """The rows are not such as the network was trained with."""


def load_model(job: str, *, url: str | None = None, token: str | None = None) -> nn.Module:
    """The best trial's network, in evaluation mode on the CPU; it takes prepared inputs.

    Raises:
        ApiError, ServerUnreachable: the server has no such network, or there is no server.
    """
    with Client(url, token=token) as client, TemporaryDirectory() as folder:
        return load(client.find(job).download_model(Path(folder) / "model.safetensors"))


def predict(client: Client, job: str, rows: Path, **drawing: Any) -> Answers:
    """What the best trial's network says of the rows in a file, or how a text in it goes on.

    `drawing` are the fields of `models.continuation.Drawing`, for a text.

    Raises:
        PredictionRefused: a column is absent, a value is wrong, or the file is no table.
        ApiError, ServerUnreachable: the server has no such network, or there is no server.
    """
    with TemporaryDirectory() as folder:
        model = client.find(job).download_model(Path(folder) / "model.safetensors")
        try:
            return answer(model, rows, Drawing(**drawing))
        except (DataRefused, CheckpointCorrupt) as error:
            raise PredictionRefused(str(error)) from error


def as_json(answers: Answers) -> str:
    """A line: ``predictions`` and ``probabilities``, or of a text how it goes on, ``text``."""
    if answers.text is not None:
        return json.dumps({"text": answers.text}) + "\n"
    document = {"predictions": answers.values, "probabilities": answers.probabilities}
    return json.dumps(document) + "\n"


def as_csv(answers: Answers) -> str:
    """A line per row: the prediction and, of classes, the probability of each."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    names = list(answers.probabilities)
    lines.writerow(["prediction", *(f"p({name})" for name in names)])
    columns = [[f"{share:.6g}" for share in answers.probabilities[name]] for name in names]
    lines.writerows(zip(answers.values, *columns, strict=True))
    return text.getvalue()
