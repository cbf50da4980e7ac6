"""The command that puts a job's best network to use."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from tuner.commands.options import AsJson, JobName, Token, Url, connect


def predict(
    job: JobName,
    rows: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: stdout.")
    ] = None,
    characters: Annotated[
        int, typer.Option("--characters", "-n", min=1, help="Of a text: how many to write on.")
    ] = 500,
    temperature: Annotated[
        float, typer.Option(min=0, max=10, help="Of a text: how daring; 0 takes the likeliest.")
    ] = 0.8,
    code: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where code comes from that the network needs."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a text: another seed, another text.")] = 0,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Predict with a job's best network: FILE is a table like the one it was trained with.

    A network of images takes an image, a folder of images, or a NumPy file of bytes, (N, C, H, W).
    One of texts takes a text file, and writes on from its end.
    """
    takeaway = import_module("tuner.takeaway")  # this command alone needs PyTorch
    with connect(url, token) as client:
        drawing = {"characters": characters, "temperature": temperature, "seed": seed}
        answers = takeaway.predict(client, job, rows, code=code, **drawing)
    if as_json:
        text = takeaway.as_json(answers)
    elif answers.text is not None:
        text = answers.text
    else:
        text = takeaway.as_csv(answers)
    if output is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    output.write_text(text, encoding="utf-8")
    what = f"{len(answers.values):,} predictions"
    if answers.text is not None:
        what = f"{len(answers.text):,} characters"
    typer.echo(f"{output}: {what}", err=True)
