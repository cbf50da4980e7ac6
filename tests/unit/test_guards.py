"""The list of guards is up to date: each one's text is in the source, once, and its tests exist."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.faults.guards import GUARDS, ROOT, Guard, take_away


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_can_be_taken_away_and_the_source_still_compiles(
    guard: Guard, tmp_path: Path
) -> None:
    copy = tmp_path / guard.file
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / guard.file, copy)
    take_away(guard, tmp_path)
    ast.parse(copy.read_text())
    for test in guard.tests:
        file, *_, name = test.split("[")[0].split("::")
        sources = [ROOT / file, *(ROOT / "tests" / "contracts").glob("*.py")]
        assert any(f"def {name}(" in source.read_text() for source in sources), test


def test_a_guard_that_is_no_longer_found_is_said(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("pass\n")
    guard = Guard(name="lost", file="some.py", text="if lost:", without="", tests=())
    with pytest.raises(ValueError, match=r"Guard 'lost': its text is 0 times in some\.py"):
        take_away(guard, tmp_path)
