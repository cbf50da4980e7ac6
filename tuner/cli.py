"""``tuner``: the command line. Commands import what they need when they are called."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from tuner.commands import code, conversion, data, jobs, prediction, service
from tuner.commands.exits import EXIT_CODES, Commands

app = typer.Typer(
    cls=Commands,
    help="Automatic hyperparameter tuning for PyTorch, as a service.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    # Rich would take half of the time that `tuner --help` may take.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "serve": service.serve,
    "demo": service.demo,
    "submit": jobs.submit,
    "convert": conversion.convert,
    "watch": jobs.watch,
    "list": jobs.list_jobs,
    "show": jobs.show,
    "best": jobs.best,
    "predict": prediction.predict,
    "pause": jobs.pause,
    "resume": jobs.resume,
    "cancel": jobs.cancel,
    "delete": jobs.delete,
    "enqueue": jobs.enqueue,
    "logs": jobs.logs,
    "models": service.catalogue,
    "doctor": service.doctor,
    "api": service.api,
    "scheduler": service.scheduler,
}

for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(data.data, name="data")
app.add_typer(code.code, name="code")
app.add_typer(service.db, name="db")


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("tuner"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script."""
    app(prog_name="tuner")


if __name__ == "__main__":
    main()
