"""Places where attempts run, by the name the settings give them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tuner.executors.base import Executor
from tuner.executors.inline import InlineExecutor
from tuner.executors.local import LocalExecutor

#: From a name and the folder for logs to an executor that has not started anything yet.
EXECUTORS: Final[Mapping[str, Callable[[Path], Executor]]] = {
    "local": LocalExecutor,
    "inline": lambda _: InlineExecutor(),
}
