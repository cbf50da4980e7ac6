"""The package as a wheel: everything it needs is in it, and it works away from the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tuner.schema import HEAD

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "tuner", "models")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def shipped_files() -> set[str]:
    """Every file of the packages, by its path."""
    return {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves folders behind that the next would pack."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, source)
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", target, source)
    subprocess.run([*PIP, *build], check=True)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([*PIP, "install", "--no-deps", "--target", folder, wheel], check=True)
    return folder


def run(site: Path, *arguments: str | Path) -> str:
    """What the installed program says, far from the checkout and with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUNER_")}
    environment = {
        **kept,
        "PYTHONPATH": str(site),
        "TUNER_HOME": str(site.parent / "wheel-home"),
        # Nothing listens there.
        "TUNER_URL": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        arguments, cwd=site.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == shipped_files()
    assert {f"{package}/py.typed" for package in PACKAGES} < packed
    assert {"tuner/demo.yaml", "app/pages/index.html", "tuner/migrations/env.py"} < packed


def test_the_program_runs_from_the_wheel(site: Path) -> None:
    program = site / "bin" / "tuner"
    assert "submit" in run(site, program, "--help")
    assert "convnet" in run(site, program, "models", "--json")
    where = run(site, sys.executable, "-c", "import app, tuner, models; print(tuner.__file__)")
    assert where.strip() == str(site / "tuner" / "__init__.py")


def test_the_migrations_run_from_the_wheel(site: Path) -> None:
    said = run(site, site / "bin" / "tuner", "db", "upgrade", "--json")
    assert f"sqlite:///{site.parent / 'wheel-home' / 'tuner.db'}" in said
    assert f'"schema": "{HEAD}"' in said
