"""A project may have packages called like ours: each file gets what it means."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from models.namespace import OURS
from tests.archives import write

#: Folders without ``__init__.py``, one that has it, and names that we have as well.
PROJECT: Final = {
    "models/nets.py": "WHOSE = 'theirs'\ndef lazily():\n    import app.x\n    return app.x.WHOSE\n",
    "models/build.py": "from models.nets import WHOSE\n"
    "def later():\n    from models import nets\n    return nets.WHOSE\n",
    "models/sub/__init__.py": "from . import deep\nfrom .. import nets\n",
    "models/sub/deep.py": "import models.nets as nets\n\nWHOSE = nets.WHOSE\n",
    "app/x.py": "WHOSE = 'theirs'\n",
    "loose.py": "import models.build\n\nWHOSE = models.build.WHOSE\n",
}


def carried_out(folder: Path, program: str, names: tuple[str, ...], before: str = "") -> list[str]:
    """What the program prints, in a process that imports `names` from `folder` after `before`."""
    start = (
        "import sys\nfrom pathlib import Path\n"
        "import models.build\nfrom models.importing import load, load_others\n"
        "from models.namespace import give_way\n"
        f"{before}give_way(Path({str(folder)!r}), {names!r})\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-P", "-c", start + program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "code", PROJECT)


NAMES = ("app", "loose", "models")


def test_their_files_import_theirs_at_the_top_and_inside_functions(folder: Path) -> None:
    program = (
        "for path in ('models.nets:WHOSE', 'models.build:WHOSE', 'models.sub.deep:WHOSE',\n"
        "             'models.sub:deep', 'app.x:WHOSE', 'loose:WHOSE'):\n"
        "    found = load_others(path)\n"
        "    print(getattr(found, 'WHOSE', found))\n"
        "print(load_others('models.nets:lazily')(), load_others('models.build:later')())\n"
    )
    assert carried_out(folder, program, NAMES) == ["theirs"] * 8


def test_our_files_import_ours_at_the_top_and_inside_functions(folder: Path) -> None:
    program = (
        "from models.training.probe import probe\n"
        "import models.training.train as train, models.build\n"
        "from tuner.trial_order import Job\n"
        "import tuner.trainer\n"
        "print(load_others('models.build:WHOSE'))\n"
        "ours = load('models.build:build_network')\n"
        "print(ours.__code__.co_filename == models.build.__file__, models.build.__file__)\n"
        "print(tuner.trainer.probe_model is probe, train.train.__module__)\n"
    )
    said = carried_out(folder, program, NAMES)
    place = str(Path(__file__).parents[3] / "models" / "build.py")
    assert said == ["theirs", "True", place, "True", "models.training.train"]


def test_a_module_that_we_have_not_is_missing_though_they_have_it(folder: Path) -> None:
    program = (
        "try:\n    import models.nets\n"
        "except ModuleNotFoundError as error:\n    print(error.name)\n"
        "print(load_others('models.nets:WHOSE'))\n"
    )
    assert carried_out(folder, program, NAMES) == ["models.nets", "theirs"]


def test_a_module_that_they_have_not_is_missing_though_we_have_it(folder: Path) -> None:
    program = (
        "from models.importing import PartRefused\n"
        "try:\n    load_others('models.training:train')\n"
        "except PartRefused as error:\n    print(error)\n"
    )
    said = " ".join(carried_out(folder, program, NAMES))
    assert said.startswith("models.training:train: No module named 'models.training'; install it")


def test_names_they_do_not_have_stay_ours(folder: Path) -> None:
    """A project without `models` may import from ours what it is to be built upon."""
    write(folder, {"aug.py": "from models.augment.base import Augmentation\n"})
    program = (
        "from models.augment.base import Augmentation\n"
        "print(load_others('aug:Augmentation') is Augmentation)\n"
    )
    assert carried_out(folder, program, ("aug", "loose")) == ["True"]


def test_a_folder_comes_before_packages_of_its_name_that_are_installed(folder: Path) -> None:
    installed = write(
        folder.parent / "site", {"shared/__init__.py": "", "shared/a.py": "WHOSE = 1\n"}
    )
    write(folder, {"shared/a.py": "WHOSE = 'theirs'\n"})
    program = f"sys.path.insert(0, {str(installed)!r})\nprint(load_others('shared.a:WHOSE'))\n"
    assert carried_out(folder, program, ("shared",)) == ["theirs"]


def test_files_of_modules_are_told_apart_by_inspect(folder: Path) -> None:
    """PyTorch asks it as it is imported, and where it traces."""
    program = (
        "import inspect\n"
        "theirs = load_others('models.nets:lazily')\n"
        "print(inspect.getmodule(theirs).WHOSE)\n"
        f"print(inspect.getmodule(compile('', {str(folder / 'loose.py')!r}, 'exec')))\n"
    )
    before = "import inspect\ninspect.getmodule(compile('', '/', 'exec'))\n"
    assert carried_out(folder, program, NAMES, before) == ["theirs", "None"]


def test_nothing_is_written_into_the_folder(folder: Path) -> None:
    carried_out(folder, "load_others('models.sub:deep')", NAMES)
    assert list(folder.rglob("__pycache__")) == []


def test_our_packages_import_each_other_by_whole_names_only() -> None:
    """Relative imports would find whoever has the name."""
    root = Path(__file__).parents[3]
    files = [file for name in OURS for file in (root / name).rglob("*.py")]
    assert files
    assert [file for file in files if "\nfrom ." in file.read_text()] == []
