"""Folders of code: named by their content, safely unpacked, there whole or not at all."""

import io
import os
import stat
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.archives import LIMITS, member, tar, tar_of, write, zipped
from tuner.clock import utc_now
from tuner.errors import DiskFull, TunerError
from tuner.foreign import folders as folders_module
from tuner.foreign.errors import CodeNotFound, CodeRefused, CodeTooLarge
from tuner.foreign.folders import CodeFolders
from tuner.foreign.manifest import Manifest, manifest_of
from tuner.foreign.packing import code_of, pack
from tuner.foreign.unpacking import CodeLimits, unzipped

PROJECT = {"theirs/__init__.py": "", "theirs/nets.py": "WIDTH = 3\n", "train.py": "import theirs\n"}


@pytest.fixture
def folders(tmp_path: Path) -> CodeFolders:
    return CodeFolders(tmp_path / "code")


def take_in(folders: CodeFolders, content: bytes, sha256: str | None = None, **limits: int) -> str:
    allowed = CodeLimits(**{**LIMITS, **limits})
    return folders.take_in(unzipped(io.BytesIO(zipped(content))), allowed, sha256)[0]


def left_in(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "code").iterdir() if path.name != ".lock")


class TestName:
    """A folder is called after its content, and after nothing else."""

    def test_the_name_is_what_sha256sum_says_of_the_manifest(self, tmp_path: Path) -> None:
        folder = write(tmp_path / "a", {"b.py": "1", "a/x.py": "22"})
        (folder / "b.py").chmod(0o755)
        manifest = code_of(folder)
        one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
        two = "785f3ec7eb32f30b90cd0fcf3657d388b5ff4297f2f9716ff66e9b69c05ddd09"
        assert manifest.text == f"{two} 2 - a/x.py\n{one} 1 x b.py\n"
        named = "a5464475c8b1c4d8f2b7f1d58cdd1483d48009f3657c17c2236bd0f7a0b7a3a1"
        assert manifest.sha256 == named

    def test_times_owners_and_empty_folders_have_no_say(self, tmp_path: Path) -> None:
        first, second = (write(tmp_path / name, PROJECT) for name in "ab")
        os.utime(second / "train.py", (1, 1))
        (second / "train.py").chmod(0o600)
        (second / "empty").mkdir()
        assert code_of(first).sha256 == code_of(second).sha256

    @pytest.mark.parametrize("change", ["content", "mode", "name", "another"])
    def test_content_name_and_the_executable_bit_have(self, tmp_path: Path, change: str) -> None:
        folder = write(tmp_path / "a", PROJECT)
        before = code_of(folder).sha256
        match change:
            case "content":
                (folder / "train.py").write_text("import theirz\n")
            case "mode":
                (folder / "train.py").chmod(0o755)
            case "name":
                (folder / "train.py").rename(folder / "learn.py")
            case _:
                write(folder, {"more.py": ""})
        assert code_of(folder).sha256 != before

    def test_a_manifest_reads_what_it_wrote(self, tmp_path: Path) -> None:
        manifest = code_of(write(tmp_path, {**PROJECT, "with space/ü.py": "x"}))
        assert Manifest.parse(manifest.text).text == manifest.text
        for text in ("", "x\n", manifest.text + "\n"):
            with pytest.raises(ValueError, match="no line"):
                Manifest.parse(text)

    def test_modules_are_what_can_be_imported_from_the_folder(self, tmp_path: Path) -> None:
        files = {"a.py": "", "b/c/d.py": "", "e/data.csv": "", "f-g.py": "", "tuner/x.py": ""}
        assert code_of(write(tmp_path, files)).modules == ("a", "b")


class TestPacking:
    """What is not code stays where it is."""

    def test_what_is_hidden_compiled_or_ignored_is_left_out(self, tmp_path: Path) -> None:
        left_out = {
            ".git/config": "",
            ".env": "TOKEN=1",
            "a/__pycache__/x.pyc": "",
            "a/x.pyc": "",
            "venv/pyvenv.cfg": "",
            "venv/lib/x.py": "",
            "data/big.bin": "",
            "a/big.bin": "",
            "runs/1/log": "",
            "a/out/deep.txt": "",
        }
        patterns = ".tunerignore"
        text = "# not code\n\n*.bin\nruns/\na/out/*\n/data\n"
        folder = write(tmp_path, {**PROJECT, **left_out, "a/runs.py": "", patterns: text})
        found = [file.path for file in code_of(folder).files]
        assert sorted(found) == sorted([*PROJECT, "a/runs.py"])

    @pytest.mark.parametrize("line", ["!keep.py", "a/**/b"])
    def test_a_pattern_that_is_none_is_refused(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(CodeRefused, match="none of its patterns"):
            code_of(write(tmp_path, {**PROJECT, ".tunerignore": line}))

    def test_links_are_refused_by_name(self, tmp_path: Path) -> None:
        write(tmp_path, PROJECT)
        (tmp_path / "theirs" / "link.py").symlink_to("/etc/passwd")
        with pytest.raises(CodeRefused, match=r"theirs/link\.py is a link; code has files"):
            code_of(tmp_path)

    def test_a_pipe_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(write(tmp_path, PROJECT) / "pipe")
        with pytest.raises(CodeRefused, match="pipe is neither a file nor a folder"):
            code_of(tmp_path)

    def test_a_folder_that_is_missing_or_empty_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CodeRefused, match="There is no folder"):
            code_of(tmp_path / "nowhere")
        with pytest.raises(CodeRefused, match="there is no code"):
            code_of(tmp_path)

    def test_a_file_that_became_shorter_is_not_sent(self, tmp_path: Path) -> None:
        folder = write(tmp_path / "a", PROJECT)
        manifest = code_of(folder)
        (folder / "train.py").write_text("")
        with pytest.raises(CodeRefused, match="changed meanwhile"):
            pack(folder, manifest, io.BytesIO())


class TestTakingIn:
    """What was packed comes out as it was."""

    def test_what_is_packed_there_is_unpacked_here(
        self, folders: CodeFolders, tmp_path: Path
    ) -> None:
        long = "/".join(["a" * 30] * 3) + "/ünï.py"
        source = write(tmp_path / "source", {**PROJECT, long: "x = 1\n"})
        (source / "train.py").chmod(0o755)
        manifest, archive = code_of(source), io.BytesIO()
        pack(source, manifest, archive)
        archive.seek(0)
        limits = CodeLimits(**{**LIMITS, "path_bytes": 200})
        sha256, is_new = folders.take_in(unzipped(archive), limits, manifest.sha256)
        assert (sha256, is_new) == (manifest.sha256, True)
        assert folders.manifest(sha256).text == manifest.text
        assert manifest_of(folders.folder(sha256)).sha256 == sha256
        assert (folders.folder(sha256) / long).read_text() == "x = 1\n"
        view = folders.view(sha256)
        assert (view.bytes, view.modules) == (manifest.bytes, ["a" * 30, "theirs", "train"])
        assert left_in(tmp_path) == [sha256]

    def test_what_is_unpacked_is_read_only(self, folders: CodeFolders) -> None:
        folder = folders.folder(take_in(folders, tar_of(PROJECT)))
        modes = {stat.S_IMODE(os.stat(below).st_mode) for below, _, _ in os.walk(folder)}
        assert modes == {0o555}
        assert stat.S_IMODE((folder / "train.py").stat().st_mode) == 0o444

    def test_the_same_code_again_changes_nothing(self, folders: CodeFolders) -> None:
        sha256 = take_in(folders, tar_of(PROJECT))
        inode = folders.folder(sha256).stat().st_ino
        limits = CodeLimits(**LIMITS)
        again = folders.take_in(io.BytesIO(tar_of(PROJECT)), limits)
        assert again == (sha256, False)
        assert folders.folder(sha256).stat().st_ino == inode

    def test_a_folder_that_is_not_whole_is_taken_for_none_and_replaced(
        self, folders: CodeFolders
    ) -> None:
        sha256 = take_in(folders, tar_of(PROJECT))
        folders.folder(sha256).chmod(0o755)
        (folders.folder(sha256) / "train.py").unlink()
        assert not folders.has(sha256)
        with pytest.raises(CodeNotFound):
            folders.view(sha256)
        assert take_in(folders, tar_of(PROJECT)) == sha256
        assert folders.has(sha256)

    def test_what_is_removed_is_gone(self, folders: CodeFolders, tmp_path: Path) -> None:
        sha256 = take_in(folders, tar_of(PROJECT))
        folders.remove(sha256)
        assert left_in(tmp_path) == []
        for name in (sha256, "..", "x"):
            with pytest.raises(CodeNotFound):
                folders.remove(name)

    def test_what_a_killed_process_left_goes_after_an_hour(
        self, folders: CodeFolders, tmp_path: Path
    ) -> None:
        sha256 = take_in(folders, tar_of(PROJECT))
        (tmp_path / "code" / sha256).rename(tmp_path / "code" / ".new-0123")
        folders.remove_remains(utc_now())
        assert left_in(tmp_path) == [".new-0123"]
        folders.remove_remains(utc_now() + timedelta(hours=2))
        assert left_in(tmp_path) == []

    def test_a_full_disk_leaves_nothing(
        self, folders: CodeFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full() -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(folders_module.os, "sync", full)
        with pytest.raises(DiskFull):
            take_in(folders, tar_of(PROJECT))
        assert left_in(tmp_path) == []


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
BAD_MEMBERS = {
    "leads out": [member("../x.py", b"1")],
    "leads out deeper": [member("a/../../x.py", b"1")],
    "absolute": [member("/etc/x.py", b"1")],
    "empty part": [member("a//x.py", b"1")],
    "dot": [member("./x.py", b"1")],
    "backslash": [member("a\\x.py", b"1")],
    "control character": [member("a\nb.py", b"1")],
    "no utf-8": [member("a\udcff.py", b"1")],
    "a long name": [member("a" * 256, b"1")],
    "a link": [member("a.py", type=LINK, linkname="/etc/passwd")],
    "a link to a folder": [member("a", type=LINK, linkname=".."), member("a/x.py", b"1")],
    "a hard link": [member("a.py", b"1"), member("b.py", type=HARD, linkname="a.py")],
    "a device": [member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "a pipe": [member("pipe", type=tarfile.FIFOTYPE)],
    "twice": [member("a.py", b"1"), member("a.py", b"2")],
    "case": [member("a.py", b"1"), member("A.py", b"2")],
    "case of folders": [member("a/x.py", b"1"), member("A/y.py", b"2")],
    "composed": [member("é.py", b"1"), member("e\u0301.py", b"2")],
    "file and folder": [member("a", b"1"), member("a/x.py", b"2")],
    "folder and file": [member("a/x.py", b"2"), member("a", b"1")],
    "no file": [member("a", type=tarfile.DIRTYPE)],
    "nothing": [],
}


@pytest.mark.parametrize("kind", BAD_MEMBERS)
def test_an_archive_with_what_is_no_code_is_refused_and_leaves_nothing(
    folders: CodeFolders, tmp_path: Path, kind: str
) -> None:
    good = [] if kind in ("no file", "nothing") else [member("good.py", b"x = 1\n")]
    with pytest.raises(CodeRefused):
        take_in(folders, tar([*good, *BAD_MEMBERS[kind]]), path_bytes=1000)
    assert left_in(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code"]


class TestLimits:
    """Everything is counted, whatever the archive says."""

    @pytest.mark.parametrize(
        ("members", "limits", "setting"),
        [
            ([member(f"{n}.py") for n in range(21)], {}, "TUNER_CODE_FILES"),
            ([member(f"d{n}", type=tarfile.DIRTYPE) for n in range(21)], {}, "TUNER_CODE_FILES"),
            ([member("a.py", bytes(10_001))], {}, "TUNER_CODE_BYTES"),
            ([member(f"{n}.py", bytes(5_001)) for n in range(2)], {}, "TUNER_CODE_BYTES"),
            ([member("a" * 101, b"1")], {}, "TUNER_CODE_PATH_BYTES"),
        ],
    )
    def test_what_is_too_much_names_the_setting(
        self,
        folders: CodeFolders,
        tmp_path: Path,
        members: list[tuple[tarfile.TarInfo, bytes]],
        limits: dict[str, int],
        setting: str,
    ) -> None:
        with pytest.raises(CodeTooLarge) as caught:
            take_in(folders, tar(members), **limits)
        assert setting in str(caught.value.hint)
        assert left_in(tmp_path) == []

    def test_a_bomb_is_read_only_as_far_as_the_limit(
        self, folders: CodeFolders, tmp_path: Path
    ) -> None:
        """A header of a gigabyte: it would be read whole before any file is seen."""
        header = tarfile.TarInfo("x")
        header.type, header.size = tarfile.XHDTYPE, 1 << 30
        read = 0

        class Endless(io.RawIOBase):
            def __init__(self) -> None:
                self.start = header.tobuf()

            def read(self, size: int = -1) -> bytes:
                nonlocal read
                piece, self.start = self.start[:size], self.start[size:]
                read += size
                return piece or bytes(size)

        with pytest.raises(CodeTooLarge):
            folders.take_in(Endless(), CodeLimits(**LIMITS))
        assert read < 300_000
        assert left_in(tmp_path) == []

    def test_a_small_archive_that_unpacks_to_much_is_refused(self, folders: CodeFolders) -> None:
        archive = zipped(tar([member("zeros", bytes(5_000_000))]))
        assert len(archive) < 10_000
        with pytest.raises(CodeTooLarge):
            folders.take_in(unzipped(io.BytesIO(archive)), CodeLimits(**LIMITS))


class TestDamage:
    """What is no whole archive is refused, never half taken."""

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"x" * 2000])
    def test_what_is_no_archive_is_refused(
        self, folders: CodeFolders, tmp_path: Path, content: bytes
    ) -> None:
        with pytest.raises(CodeRefused):
            folders.take_in(unzipped(io.BytesIO(content)), CodeLimits(**LIMITS))
        assert left_in(tmp_path) == []

    def test_another_checksum_is_refused_and_told(
        self, folders: CodeFolders, tmp_path: Path
    ) -> None:
        with pytest.raises(CodeRefused, match=f"not {'0' * 64}"):
            take_in(folders, tar_of(PROJECT), "0" * 64)
        assert left_in(tmp_path) == []

    @given(st.data())
    def test_an_archive_cut_or_altered_anywhere_is_never_taken_for_the_whole(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        root = tmp_path_factory.mktemp("damage")
        folders = CodeFolders(root / "code")
        content = bytearray(data.draw(st.sampled_from([tar_of(PROJECT), zipped(tar_of(PROJECT))])))
        is_zipped = content[:2] == b"\x1f\x8b"
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[place:]
        else:
            content[place] ^= data.draw(st.integers(1, 255))
        stream = io.BytesIO(bytes(content))
        wanted = code_of(write(root / "source", PROJECT)).sha256
        try:
            archive = unzipped(stream) if is_zipped else stream
            folders.take_in(archive, CodeLimits(**LIMITS), wanted)
        except TunerError:
            assert left_in(root) == []
        else:
            assert manifest_of(folders.folder(wanted)).sha256 == wanted
