"""What faults came to is kept between runs, and shown on the page."""

import json
from pathlib import Path

import pytest

from tests.faults.counting import BEGIN, END, FAULTS, Counts, shown

DOCS = Path(__file__).parents[2] / "docs"
DISK = "a disk of 2 MB that is full amid a checkpoint"
LOCK = "the file locked by somebody else for 10 s"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with a page on which nothing is counted yet."""
    (tmp_path / "reliability.json").write_text("{}\n")
    (tmp_path / "reliability.md").write_text(f"# A page\n\n{BEGIN}\n{END}\n\nThe rest.\n")
    return tmp_path


def line_of(docs: Path, fault: str) -> str:
    """What the page says of the fault."""
    lines = (docs / "reliability.md").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"| {fault}"))


def test_what_is_counted_is_shown_between_the_marks_and_all_else_stays(docs: Path) -> None:
    with Counts(docs)(DISK, "a folder") as count:
        count.add(1_000, last_good_one_loaded=999)
        count.add(1, last_good_one_loaded=1)
        count.tell(best="0.5")
    found = "| a folder | 1,001 | last good one loaded: 1,000; best: 0.5 | 20"
    assert found in line_of(docs, DISK)
    page = (docs / "reliability.md").read_text()
    assert page.startswith(f"# A page\n\n{BEGIN}\n| fault | on | injected | counted |")
    assert page.endswith(f"|\n{END}\n\nThe rest.\n")


def test_a_run_of_some_faults_leaves_the_rows_of_others(docs: Path) -> None:
    for fault, place, number in ((DISK, "a folder", 1), (LOCK, "SQLite", 2), (DISK, "a folder", 3)):
        with Counts(docs)(fault, place) as count:
            count.add(number)
    assert "| a folder | 3 |" in line_of(docs, DISK)
    assert "| SQLite | 2 |" in line_of(docs, LOCK)
    unseen = "random histories of the scheduler's core"
    assert line_of(docs, unseen).endswith("| 0 | not counted yet |  |")


def test_several_tests_of_one_run_are_added_up(docs: Path) -> None:
    counts = Counts(docs)
    for seconds in (1.0, 2.0, 9.0):
        with counts(DISK, "a folder") as count:
            count.add(10, loaded=10)
            count.took("it takes", seconds)
    found = "| 30 | loaded: 30; it takes: 2.0 s (median; at most 9.0 s) |"
    assert found in line_of(docs, DISK)


def test_what_did_not_hold_is_said_with_what_was_injected_until_then(docs: Path) -> None:
    def break_it() -> None:
        with Counts(docs)(DISK, "a folder") as count:
            count.add(17)
            raise AssertionError("epoch 1 | is gone\nand more")

    with pytest.raises(AssertionError):
        break_it()
    found = "| 17 | **did not hold**: AssertionError: epoch 1 / is gone |"
    assert found in line_of(docs, DISK)


def test_without_a_folder_nothing_is_written(docs: Path) -> None:
    before = (docs / "reliability.md").read_text()
    with Counts(None)(DISK, "a folder") as count:
        count.add(1)
    assert (docs / "reliability.md").read_text() == before


@pytest.mark.parametrize(("fault", "place"), [("a fault", "SQLite"), (DISK, "SQLite")])
def test_a_fault_that_the_page_does_not_know_is_refused(fault: str, place: str) -> None:
    with pytest.raises(KeyError, match="is not injected on SQLite"), Counts(None)(fault, place):
        pass


def test_the_page_shows_what_is_kept_and_every_fault() -> None:
    page = (DOCS / "reliability.md").read_text()
    rows = json.loads((DOCS / "reliability.json").read_text())
    assert shown(page, rows) == page
    assert set(rows) <= set(FAULTS)
