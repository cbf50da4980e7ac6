"""In a process that imports code of others: which folder it comes from, and that it is the one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.importing import PartRefused
from models.namespace import give_way
from tuner.foreign.errors import CodeRefused
from tuner.foreign.manifest import manifest_of
from tuner.foreign.packing import code_of

#: The code that this process imports from, by checksum, and its modules.
_entered: dict[str, tuple[str, ...]] = {}


def enter_code(code: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Have this process import from the folder of code that an order names, for good; its modules.

    `code` is what `tuner.foreign.permission.code_order` wrote; nothing happens where it is None.
    The folder is read whole first: it must hold what its checksum says. For processes that end with
    what they import.

    Raises:
        PartRefused: this server takes no such code any more, or it is not there, or altered.
    """
    if code is None:
        return ()
    if code["sha256"] not in _entered:
        folder, modules = checked_code(code)
        give_way(folder, modules)
        _entered[code["sha256"]] = modules
    return _entered[code["sha256"]]


def checked_code(code: Mapping[str, Any]) -> tuple[Path, tuple[str, ...]]:
    """The folder of code that an order names, read whole and as it is to be; its modules.

    Raises:
        PartRefused: this server takes no such code any more, or it is not there, or altered.
    """
    if code["refused"] is not None:
        raise PartRefused(code["refused"])
    folder, sha256 = Path(code["folder"]), code["sha256"]
    remedy = "Submit the job again, with its code."
    try:
        manifest = manifest_of(folder)
    except (CodeRefused, OSError) as error:
        raise PartRefused(f"Code {sha256} cannot be read: {error}. {remedy}") from error
    if manifest.sha256 != sha256:
        raise PartRefused(f"Code {sha256} was altered in {folder}. {remedy}")
    return folder, manifest.modules


def enter_folder(folder: Path) -> tuple[str, ...]:
    """As `enter_code`, of a folder that whoever started this process names; its modules.

    Raises:
        CodeRefused: there is no code.
    """
    modules = code_of(folder).modules
    give_way(folder.resolve(), modules)
    return modules
