"""The command that makes specs of other tools' files."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
) -> None:
    """Print the spec that a W&B sweep, or Optuna's distributions as JSON, come to.

    What has no meaning here becomes a comment. FILE may be - for stdin.
    """
    from tuner.commands.specs import spec_of
    from tuner.conversion.convert import converted

    typer.echo(converted(spec_of(file, [], called="FILE")), nl=False)
