"""The rules of the house that a test can check."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("app", "tuner", "models", "benchmarks", "examples")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50


def python_files(*folders: str) -> list[Path]:
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    assert files
    return files


def markdown_files() -> list[Path]:
    files = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
    return [file for file in files if file.is_file()]


def test_no_file_is_longer_than_a_newcomer_can_hold() -> None:
    lengths = {f: len(f.read_text().splitlines()) for f in python_files(*OURS)}
    assert {f: n for f, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{file}:{node.lineno} {node.name}"
        for file in python_files(*OURS, "tests")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    found = [file for file in python_files(*OURS, "tests") if marks.search(file.read_text())]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        file
        for file in python_files(*OURS, "tests")
        if file.read_text().strip() and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


def links_of(file: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            yield target


def anchors_of(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", file.read_text(), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_no_link_in_the_documentation_leads_nowhere() -> None:
    broken = []
    for file in markdown_files():
        for link in links_of(file):
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            if not target.exists() or (
                anchor and target.suffix == ".md" and anchor not in anchors_of(target)
            ):
                broken.append(f"{file.relative_to(ROOT)}: {link}")
    assert broken == []


def imported_by(statement: str) -> set[str]:
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import tuner.cli", {"torch", "numpy", "optuna", "sqlalchemy", "fastapi", "httpx2"}),
        ("import tuner.client", {"torch", "numpy", "optuna", "sqlalchemy", "fastapi"}),
        ("import app.main; app.main.create_app()", {"torch", "numpy", "optuna", "alembic"}),
        ("import tuner.leader.lead", {"torch"}),
        ("import tuner.invariants.check", {"torch"}),
        ("import tuner.planning.resolve", {"torch", "numpy", "optuna", "sqlalchemy"}),
        ("from tuner import report", {"torch", "numpy", "pydantic", "typer", "subprocess"}),
        ("import models.entries", {"torch", "numpy", "sklearn", "pydantic"}),
    ],
)
def test_heavy_libraries_are_imported_only_where_they_are_needed(
    statement: str, absent: set[str]
) -> None:
    assert imported_by(statement) & absent == set()


def test_help_is_shown_without_heavy_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tuner.cli", "--help"],
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "tuner.commands" in imported
    assert imported & {"torch", "numpy", "optuna", "sqlalchemy", "fastapi", "httpx2"} == set()


def test_nothing_happens_on_import() -> None:
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in python_files("app", "tuner", "models")
        # Preloaded by the fork server for what it does; alembic runs env.py and the versions.
        if file.name != "warm.py" and "migrations" not in file.parts
    ]
    program = (
        "import importlib, logging, threading\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(threading.active_count(), logging.getLogger().handlers,\n"
        "      logging.getLogger('tuner').handlers)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "1 [] []", done.stderr
