"""Whose code may run is the operator's to say; without a word, nobody's."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.factories import make_spec
from tuner.errors import SpecInvalid
from tuner.foreign.origin import Code
from tuner.foreign.permission import code_complaint, code_order
from tuner.settings import Settings
from tuner.spec import parse_spec

SHA = "ab" * 32


def complaint(code: dict[str, str], **settings: Any) -> str | None:
    return code_complaint(Code(**code), Settings(**settings))  # type: ignore[arg-type]


def test_by_default_no_code_is_taken() -> None:
    assert "TUNER_ALLOW_UPLOADED_CODE=1" in str(complaint({"sha256": SHA}))
    assert "TUNER_CODE_ROOTS" in str(complaint({"git": "theirs", "commit": "main"}))
    address = {"git": "https://example.org/x", "commit": "main"}
    assert "takes no commits by address" in str(complaint(address))


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ALLOW_UPLOADED_CODE": "1",
        "CODE_ROOTS": "/a:/b",
        "ALLOWED_GIT": "https://a.example, https://b.example/x",
        "CODE_BYTES": "2048",
    }.items():
        monkeypatch.setenv(f"TUNER_{name}", value)
    settings = Settings()
    assert settings.allow_uploaded_code
    assert settings.repository_roots == (Path("/a"), Path("/b"))
    assert settings.allowed_git == ("https://a.example", "https://b.example/x")
    assert settings.code_bytes == 2048


@pytest.mark.parametrize("git", ["theirs", "group/ours", "abs"])
def test_repositories_below_a_root_are_taken(tmp_path: Path, git: str) -> None:
    for name in ("theirs", "group/ours"):
        (tmp_path / "roots" / name).mkdir(parents=True)
    named = str(tmp_path / "roots" / "theirs") if git == "abs" else git
    settings = {"code_roots": [str(tmp_path / "none"), str(tmp_path / "roots")]}
    assert complaint({"git": named, "commit": "main"}, **settings) is None


@pytest.mark.parametrize("git", ["../other", "link", "nowhere", "/etc", "a\0b"])
def test_what_leads_out_of_the_roots_is_refused(tmp_path: Path, git: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "link").symlink_to(tmp_path / "other")
    said = complaint({"git": git, "commit": "main"}, code_roots=[str(tmp_path / "roots")])
    assert f"git {git!r} is no folder below" in str(said)


@pytest.mark.parametrize(
    ("git", "is_taken"),
    [
        ("https://example.org/team/x.git", True),
        ("https://example.org/team", True),
        ("https://example.org/teams/x", False),
        ("https://example.org/team/../other", False),
        ("https://example.org/team/%2e%2e/other", False),
        ("https://example.org@evil.org/team/x", False),
        ("https://example.org/team/x?a=1", False),
        ("https://example.org/team/x\n", False),
        ("http://example.org/team/x", False),
        ("ext::sh -c touch% x://", False),
        ("file:///etc", False),
    ],
)
def test_addresses_below_a_prefix_are_taken(git: str, is_taken: bool) -> None:
    allowed = {"allowed_git": ["https://other.org/", "https://example.org/team/"]}
    said = complaint({"git": git, "commit": "main"}, **allowed)
    assert (said is None) == is_taken
    assert is_taken or "commits from https://other.org/, https://example.org/team/ only" in str(
        said
    )


@pytest.mark.parametrize(
    "code",
    [
        {},
        {"git": "x"},
        {"commit": "main"},
        {"sha256": SHA, "git": "x"},
        {"sha256": SHA, "commit": "main"},
        {"sha256": SHA.upper()},
        {"sha256": SHA + "\n"},
        {"folder": "x"},
        "x",
    ],
)
def test_code_of_a_spec_has_one_origin(code: Any) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec(code=code))
    assert {fault.pointer.split("/")[1] for fault in caught.value.faults} == {"code"}


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ({"comit": "x"}, "code.comit is an unknown key: did you mean 'commit'?"),
        ({"sha256": "x"}, "write the 64 hexadecimal digits that tuner code add shows."),
        ({}, "write {sha256: …}, as tuner submit --code does, or {git: …, commit: …}."),
    ],
)
def test_what_is_wrong_with_code_is_told_with_its_remedy(code: Any, detail: str) -> None:
    with pytest.raises(SpecInvalid, match=re.escape(detail)):
        parse_spec(make_spec(code=code))


def test_a_worker_is_told_whether_its_code_is_still_allowed(tmp_path: Path) -> None:
    code = parse_spec(make_spec(code={"sha256": SHA})).code
    allowed = code_order(code, Settings(home=tmp_path, allow_uploaded_code=True))
    folder = str(tmp_path / "code" / SHA / "files")
    assert allowed == {"sha256": SHA, "folder": folder, "refused": None}
    refused = code_order(code, Settings(home=tmp_path))
    assert refused is not None
    assert "runs no uploaded code" in refused["refused"]
    assert code_order(parse_spec(make_spec()).code, Settings()) is None
