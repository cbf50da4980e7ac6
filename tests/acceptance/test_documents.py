"""The documentation, carried out: what the pages say is what the program does.

Every fenced block of README.md, SECURITY.md, CONTRIBUTING.md and docs/ is executed on a real server
with one finished job: ``bash`` and ``console`` as shell commands, in the order of the page and with
the variables of the blocks before; ``python`` as one program per page; ``yaml`` is validated as a
spec, over the smallest one where it is only a part of one. The default address in a block stands
for the server's. A block that cannot be executed as it stands has a comment before it that says
why, ``<!-- not executed here: WHY -->``. Blocks of other languages are not commands.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Final

import pytest
import yaml
from PIL import Image

from tests.servers import Server, running
from tuner.client import ApiError, Client
from tuner.states import LIVE_JOBS, JobState

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 100.0
PAGES: Final = (
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
EXAMPLES: Final = sorted((ROOT / "examples").glob("*.yaml"))
DEFAULT_ADDRESS: Final = "127.0.0.1:8700"
BLOCK: Final = re.compile(
    r"^(?:<!-- not executed here: (?P<why>[^>]+?) -->\n+)?"
    r"```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
SHELL: Final = ("bash", "console")
SMALLEST: Final = {
    "model": "convnet",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
}
#: The keys of jobs whose training is code of others.
FOREIGN: Final = {"objective", "command"}
QUICK: Final = {"model": "mlp", "budget": {"trials": 4, "epochs": 2}, "search": {"pruner": "none"}}
#: Variables that a block sets are there for the next one of its page.
STEP: Final = """\
set -euo pipefail
[ ! -e "$STATE" ] || . "$STATE"
set -a
{text}
set +a
declare -px > "$STATE"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    #: Why it is not executed; None if it is.
    why_not: str | None

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> str:
        """What a reader would type: of a console's transcript, the lines behind the prompt."""
        if self.language == "bash":
            return self.text
        lines = re.findall(r"^\$ (.*(?:\\\n.*)*)$", self.text, re.MULTILINE)
        return "\n".join(lines)


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            text=match["text"],
            why_not=match["why"],
        )
        for match in BLOCK.finditer(text)
    ]


def write_idx_folder(folder: Path) -> None:
    """A folder as examples/mnist_idx.yaml wants it: a few grey images of ten classes."""
    folder.mkdir(parents=True)
    for part, rows in (("train", 600), ("t10k", 100)):
        pixels = bytes(i % 251 for i in range(rows * 28 * 28))
        images = pack(">4I", 0x803, rows, 28, 28) + pixels
        labels = pack(">2I", 0x801, rows) + bytes(i % 10 for i in range(rows))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def write_image_folder(folder: Path) -> None:
    """Grey images of two kinds of pets, dark and bright."""
    for number in range(20):
        for kind, brightness in (("cat", number), ("dog", 255 - number)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.new("L", (12, 10), brightness).save(folder / kind / f"{number}.png")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own home, with data that the pages speak of and one finished job."""
    home = tmp_path_factory.mktemp("documents") / "home"
    write_idx_folder(home / "data" / "mnist")
    write_image_folder(home / "data" / "pets")
    rows = "".join(f"{n % 7},{n % 3},{'yes' if n % 2 else 'no'}\n" for n in range(200))
    (home / "data" / "shops.csv").write_text(f"income,visits,bought\n{rows}")
    book = (ROOT / "docs" / "architecture.md").read_text()
    (home / "data" / "book.txt").write_text(book, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TUNER_")]:
            patch.delenv(name)
        patch.setenv("TUNER_HOME", str(home))
        patch.setenv("TUNER_ALLOWED_CODE", "tune_digits,mypkg")
        patch.setenv("TUNER_ALLOW_COMMANDS", "1")
        patch.setenv("TUNER_ALLOW_UPLOADED_CODE", "1")
        with running() as server, Client(server.url) as tuner:
            patch.setenv("TUNER_URL", server.url)
            first = tuner.submit({**SMALLEST, **QUICK, "name": "first"}).wait(PATIENCE_S)
            assert first.state is JobState.SUCCEEDED
            yield server
            server.end(signal.SIGTERM)


@pytest.fixture
def folder(server: Server, tmp_path: Path) -> Iterator[Path]:
    """Where a page's commands are typed; what they leave under way is cancelled afterwards."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    yield tmp_path
    with Client(server.url) as tuner:
        for job in tuner.jobs():
            if job.state in LIVE_JOBS:
                with suppress(ApiError):  # it has ended by itself meanwhile
                    job.cancel()
                job.wait(PATIENCE_S)


def carry_out(program: list[str], folder: Path, place: str) -> None:
    """Carry out a part of a page as its reader would, in `folder`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        program,
        cwd=folder,
        env=os.environ | {"PATH": path, "STATE": str(folder / ".state"), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{place}: exit code {done.returncode}\n{done.stdout}"


def addressed(text: str, server: Server) -> str:
    return text.replace(DEFAULT_ADDRESS, server.url.removeprefix("http://"))


def executed(page: Path, *languages: str) -> list[Block]:
    return [b for b in blocks_of(page) if b.language in languages and b.why_not is None]


def pages_with(*languages: str) -> list[object]:
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if page.exists() and executed(page, *languages)
    ]


@pytest.mark.parametrize("page", pages_with(*SHELL, "python"))
def test_the_commands_of_a_page_do_what_it_says(page: Path, server: Server, folder: Path) -> None:
    for block in executed(page, *SHELL):
        step = STEP.format(text=addressed(block.commands, server))
        carry_out(["bash", "-c", step], folder, block.place)
    programs = executed(page, "python")
    if programs:
        # Blank lines keep the numbers of the lines as they are on the page.
        lines = [""] * programs[-1].line
        for block in programs:
            lines[block.line : block.line] = addressed(block.text, server).splitlines()
            lines += [""] * max(0, block.line - len(lines))
        script = folder / f"{page.stem}.py"
        script.write_text("\n".join(lines))
        carry_out([sys.executable, script.name], folder, str(page.relative_to(ROOT)))


@pytest.mark.parametrize("page", pages_with("yaml"))
def test_every_spec_of_a_page_is_valid(page: Path, server: Server) -> None:
    with Client(server.url) as tuner:
        for block in executed(page, "yaml"):
            told = yaml.safe_load(block.text)
            whole = SMALLEST.keys() <= told.keys() or FOREIGN & told.keys()
            # As text: the server reads YAML as the page has it.
            assert tuner.validate(block.text if whole else SMALLEST | told).metric, block.place


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_can_be_submitted(example: Path, server: Server) -> None:
    with Client(server.url) as tuner:
        assert tuner.validate(example).spec["name"]


@pytest.mark.usefixtures("server")
def test_the_best_model_is_rebuilt_and_judged_as_the_example_does(folder: Path) -> None:
    carry_out([sys.executable, "examples/best_model.py", "first"], folder, "best_model.py")


def test_every_block_that_is_not_executed_says_why() -> None:
    skipped = [
        block for page in PAGES if page.exists() for block in blocks_of(page) if block.why_not
    ]
    assert skipped
    for block in skipped:
        for path in re.findall(r"\b(?:tests|deploy|benchmarks)/[\w./]+\w", block.why_not or ""):
            assert (ROOT / path).exists(), f"{block.place} names {path}"


def test_no_command_hides_behind_another_language() -> None:
    hidden = [
        block.place
        for page in PAGES
        if page.exists()
        for block in blocks_of(page)
        if block.language in {"sh", "shell", "zsh", "py", "yml", "pycon"}
    ]
    assert hidden == []
