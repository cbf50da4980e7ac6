"""The command that puts a job's best network to use."""

import json
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from tuner.commands.options import AsJson, JobName, Token, Url, connect


def predict(
    job: JobName,
    rows: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="CSV", help="Default: stdout.")
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Predict with a job's best network: FILE is a table like the one it was trained with.

    A network of images takes an image, a folder of images, or a NumPy file of bytes, (N, C, H, W).
    """
    takeaway = import_module("tuner.takeaway")  # this command alone needs PyTorch
    with connect(url, token) as client:
        answers = takeaway.predict(client, job, rows)
    if as_json:
        document = {"predictions": answers.values, "probabilities": answers.probabilities}
        document |= {"files": answers.files} if answers.files else {}
        text = json.dumps(document) + "\n"
    else:
        text = takeaway.as_csv(answers)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text)
        typer.echo(f"{output}: {len(answers.values):,} predictions", err=True)
