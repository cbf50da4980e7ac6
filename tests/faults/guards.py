"""Each guard earns its place: without it, tests that are green turn red.

`python -m tests.faults.guards [NAME…]` removes one guard after the other, in a copy of the
source, and runs the tests that are there for it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.guard_table import GUARDS, Guard

ROOT: Final = Path(__file__).parents[2]
#: What tests need of the source tree.
COPIED: Final = ("app", "models", "tests", "tuner", "examples", "pyproject.toml")
LONGEST_S: Final = 1200.0


def take_away(guard: Guard, root: Path) -> None:
    """Remove the guard from the source below `root`.

    Raises:
        ValueError: its text is not there, or more than once.
    """
    file = root / guard.file
    source = file.read_text()
    if (found := source.count(guard.text)) != 1:
        raise ValueError(
            f"Guard {guard.name!r}: its text is {found} times in {guard.file}; once is right."
        )
    file.write_text(source.replace(guard.text, guard.without))


def copy_source(target: Path) -> None:
    """Copy what the tests need to `target`."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy(source, target / name)


def outcomes(root: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code for these tests on the source below `root`, and what it said."""
    options = ["-q", "--tb=line", "-rfE", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def verdict(guard: Guard) -> str:
    """Whether all its tests fail without the guard: empty, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="tuner-guards-") as folder:
        copy_source(Path(folder))
        take_away(guard, Path(folder))
        code, said = outcomes(Path(folder), guard.tests)
    red = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", said, flags=re.MULTILINE))
    green = [test for test in guard.tests if not any(name.startswith(test) for name in red)]
    if code != 1:
        return f"pytest ended with {code}:\n{said[-2000:]}"
    return f"green without it: {', '.join(green)}" if green else ""


def main(names: Sequence[str]) -> int:
    """Take away the guards whose names hold one of `names`, by default all."""
    chosen = [g for g in GUARDS if not names or any(name in g.name for name in names)]
    tests = sorted({test for guard in chosen for test in guard.tests})
    code, said = outcomes(ROOT, tests)
    if code:
        print(f"With every guard in place the tests are not green:\n{said[-4000:]}")
        return 1
    failed = 0
    for guard in chosen:
        fault = verdict(guard)
        failed += bool(fault)
        print(f"{'GREEN' if fault else 'red':6} {guard.name} ({guard.file})", flush=True)
        if fault:
            print(f"       {fault}")
    print(f"{len(chosen) - failed} of {len(chosen)} guards are missed when they are gone.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
