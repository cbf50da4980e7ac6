"""What a command finds around it: its environment, and where its program is looked up."""

import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tuner.errors import TunerError

#: Beginnings of names that are the server's alone: its settings, and what opens its database and
#: its artifact store. Whoever wants a command to have such a thing puts it into a file.
_WITHHELD: Final = ("TUNER_", "PG", "AWS_", "AZURE_", "GOOGLE_", "GCSFS_", "FSSPEC_")
#: By this the executor finds what a worker has left, whoever killed it.
_MARK: Final = "TUNER_WORKER_OF"


class ProgramMissing(TunerError):
    """The command's program cannot be started."""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a command has of its worker's environment: all but what is the server's alone.

    The programs beside this Python, ``python`` and ``torchrun`` among them, come first.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name == _MARK or not name.startswith(_WITHHELD)
    }
    beside = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join([beside, kept.get("PATH", os.defpath)])
    # What a Python program prints is in the log at once, and not lost where it is killed.
    kept.setdefault("PYTHONUNBUFFERED", "1")
    return kept


def told(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts as variables ``TUNER_…``; what is no text as JSON."""
    return {
        f"TUNER_{name.upper()}": fact if isinstance(fact, str) else json.dumps(fact)
        for name, fact in facts.items()
    }


def meeting_place() -> dict[str, str]:
    """Where processes that train as one may meet: a port that was free a moment ago.

    For torchrun under a name of its own; it takes one port for all it starts, 29500, else.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"MASTER_PORT": port, "PET_MASTER_PORT": port}


def copy_writable(code: Path, folder: Path) -> None:
    """Copy code into a new folder of the command's own.

    Scripts write where they start, and Python beside what it imports: code that a job brought is
    named by its content, and must stay as it is.

    Raises:
        OSError: there is no room for it.
    """
    shutil.copytree(code, folder)
    for below, _, files in os.walk(folder):
        for path in (below, *(os.path.join(below, file) for file in files)):
            os.chmod(path, os.stat(path).st_mode | stat.S_IWUSR)


def program_path(name: str, folder: Path, path: str) -> str:
    """The program's file: of a name on `path`, of anything with a slash as seen from `folder`.

    Raises:
        ProgramMissing: it is not there, or cannot be executed.
    """
    if "/" not in name:
        found = shutil.which(name, path=path)
        if found is None:
            raise ProgramMissing(
                f"command[0] = {name!r}: no folder of PATH has such a program. Install it where "
                f"the workers run, or give its whole path. PATH is {path}"
            )
        return found
    file = folder / name
    if not file.exists():
        raise ProgramMissing(f"command[0] = {name!r}: there is no {file}.")
    if not file.is_file():
        raise ProgramMissing(f"command[0] = {name!r}: {file} is no file.")
    if not os.access(file, os.X_OK):
        raise ProgramMissing(
            f"command[0] = {name!r}: {file} is not executable; chmod +x it, or name the program "
            "that reads it before it, such as python."
        )
    return str(file)
