"""Commits become code: pinned by their hashes, and nothing of a repository is carried out."""

from pathlib import Path

import pytest

from tests.archives import write
from tests.repositories import commit, git, repository
from tuner.foreign import commits
from tuner.foreign.commits import take_commit
from tuner.foreign.errors import CodeRefused, CodeTooLarge
from tuner.foreign.folders import CodeFolders
from tuner.foreign.packing import code_of
from tuner.foreign.unpacking import CodeLimits

FIRST = {"theirs.py": "X = 1\n", "deep/er/x.py": ""}
SECOND = {"theirs.py": "X = 2\n"}
LIMITS = CodeLimits(bytes=100_000, files=50, path_bytes=200)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return tmp_path / "roots" / "theirs"


@pytest.fixture
def hashes(origin: Path) -> list[str]:
    found = repository(origin, FIRST, SECOND)
    git(origin, "tag", "v1", found[0])
    git(origin, "tag", "--annotate", "--message=x", "v1a", found[0])
    git(origin, "branch", "feature/x", found[0])
    return found


@pytest.fixture
def folders(tmp_path: Path) -> CodeFolders:
    return CodeFolders(tmp_path / "code")


def taken(
    tmp_path: Path, origin: Path | str, wanted: str, limits: CodeLimits = LIMITS
) -> tuple[str, str]:
    folders = CodeFolders(tmp_path / "code")
    try:
        return take_commit(origin, wanted, folders, tmp_path / "code", limits)
    finally:
        hidden = [p.name for p in (tmp_path / "code").glob(".*") if p.name != ".lock"]
        assert hidden == []


def test_a_commit_is_the_code_that_its_files_are(
    tmp_path: Path, origin: Path, hashes: list[str], folders: CodeFolders
) -> None:
    found, sha256 = taken(tmp_path, origin, hashes[0])
    assert found == hashes[0]
    assert sha256 == code_of(write(tmp_path / "same", FIRST)).sha256
    assert (folders.folder(sha256) / "theirs.py").read_text() == "X = 1\n"
    assert folders.manifest(sha256).modules == ("deep", "theirs")


@pytest.mark.parametrize(
    ("wanted", "which"), [("main", 1), ("v1", 0), ("v1a", 0), ("feature/x", 0), ("short", 0)]
)
def test_names_and_first_digits_are_resolved_to_the_whole_hash(
    tmp_path: Path, origin: Path, hashes: list[str], wanted: str, which: int
) -> None:
    name = hashes[0][:7] if wanted == "short" else wanted
    assert taken(tmp_path, origin, name)[0] == hashes[which]


def test_a_branch_that_moves_on_leaves_what_was_pinned(
    tmp_path: Path, origin: Path, hashes: list[str], folders: CodeFolders
) -> None:
    _, before = taken(tmp_path, origin, "main")
    later = commit(origin, {"theirs.py": "X = 3\n"})
    found, after = taken(tmp_path, origin, "main")
    assert found == later
    assert (folders.folder(before) / "theirs.py").read_text() == "X = 2\n"
    assert (folders.folder(after) / "theirs.py").read_text() == "X = 3\n"


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [
        ("0" * 40, "Git found no such commit"),
        ("abcdef0", "Git found no such commit"),
        ("nowhere", "Git found no such commit"),
        ("--upload-pack=touch x", "is neither a hash nor the name"),
        ("main~1", "is neither a hash nor the name"),
        ("a..b", "is neither a hash nor the name"),
        ("", "is neither a hash nor the name"),
    ],
)
@pytest.mark.usefixtures("hashes")
def test_what_is_no_commit_is_refused(
    tmp_path: Path, origin: Path, wanted: str, detail: str
) -> None:
    with pytest.raises(CodeRefused, match=detail):
        taken(tmp_path, origin, wanted)


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(CodeRefused, match="Git found no such commit"):
        taken(tmp_path, tmp_path / "plain", "main")


def test_a_blob_is_no_commit(tmp_path: Path, origin: Path, hashes: list[str]) -> None:
    blob = git(origin, "rev-parse", f"{hashes[0]}:theirs.py")
    with pytest.raises(CodeRefused):
        taken(tmp_path, origin, blob)


def test_nothing_of_a_repository_is_carried_out(tmp_path: Path, origin: Path) -> None:
    """Filters, hooks and helpers that its configuration names, and submodules."""
    marker = tmp_path / "carried-out"
    (tmp_path / "other").mkdir()
    (found,) = repository(origin, {**FIRST, ".gitattributes": "*.py filter=evil\n"})
    touch = f"touch {marker}"
    for key in (
        "filter.evil.smudge",
        "filter.evil.process",
        "core.fsmonitor",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
        "tar.tar.command",
        "credential.helper",
    ):
        git(origin, "config", key, touch)
    for name in ("post-checkout", "pre-receive", "reference-transaction", "post-index-change"):
        hook = origin / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{touch}\n")
        hook.chmod(0o755)
    taken(tmp_path, origin, found)
    taken(tmp_path, origin, found[:8])
    taken(tmp_path, origin, "main")
    assert not marker.exists()


def test_links_in_a_commit_are_refused(tmp_path: Path, origin: Path, hashes: list[str]) -> None:
    (origin / "link").symlink_to("/etc/passwd")
    found = commit(origin, {})
    with pytest.raises(CodeRefused, match="'link' is a link"):
        taken(tmp_path, origin, found)


def test_a_commit_that_is_too_large_is_refused(
    tmp_path: Path, origin: Path, hashes: list[str]
) -> None:
    found = commit(origin, {"big.txt": "x" * 200_000})
    with pytest.raises(CodeTooLarge):
        taken(tmp_path, origin, found)


def test_an_address_wants_the_whole_hash(tmp_path: Path) -> None:
    with pytest.raises(CodeRefused, match="has not all digits"):
        taken(tmp_path, "https://git.invalid/x", "abcdef0")


def test_only_the_protocol_that_was_allowed_is_spoken(tmp_path: Path, origin: Path) -> None:
    (found,) = repository(origin, FIRST)
    with pytest.raises(CodeRefused, match="transport 'file' not allowed"):
        taken(tmp_path, origin.as_uri(), found)


def test_without_git_the_server_says_so(
    tmp_path: Path, origin: Path, hashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits.shutil, "which", lambda name: None)
    with pytest.raises(CodeRefused, match="has no git"):
        taken(tmp_path, origin, hashes[0])
