"""A commit of a Git repository becomes code: resolved to its whole hash, then archived.

The repository is only ever fetched from, into an empty one of ours: neither its configuration nor
its hooks, filters or submodules are carried out, and nobody is asked for a password.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tuner.foreign.errors import CodeRefused
from tuner.foreign.folders import CodeFolders
from tuner.foreign.unpacking import CodeLimits, Readable

#: For a repository to answer and send a commit.
TIMEOUT_S: Final = 120.0
_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT: Final = re.compile(r"[0-9a-f]{7,63}")
#: Of branches and tags; nothing that Git would compute, or take for an option.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
#: A redirection would lead to an address that nobody allowed.
_CONFIG: Final = "[safe]\n\tdirectory = *\n[http]\n\tfollowRedirects = false\n"


def take_commit(
    origin: Path | str, commit: str, folders: CodeFolders, root: Path, limits: CodeLimits
) -> tuple[str, str]:
    """Take a commit in: its whole hash, and the checksum of its code.

    `origin` is the folder of a repository of this host, or an address ``https://…``; below `root`
    there is room for what is fetched. `commit` is a hash, of which an address wants all digits, or
    the name of a branch or tag.

    Raises:
        CodeRefused: there is no such repository or commit, or it holds what is no code.
        CodeTooLarge: it takes more than `limits`.
        DiskFull: there is no room for it.
    """
    if _NAME.fullmatch(commit) is None or ".." in commit:
        raise CodeRefused(f"commit {commit!r} is neither a hash nor the name of a branch or tag.")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".git-") as scratch:
        git = _Git(Path(scratch), "file" if isinstance(origin, Path) else "https")
        wanted = git.whole_hash(origin, commit)
        git.fetch(origin, wanted)
        found = git.resolved("FETCH_HEAD")
        if _HASH.fullmatch(commit) and found != commit:
            raise CodeRefused(f"commit {commit!r} is no commit of {origin}.")
        with git.archive(found) as archive:
            sha256, _ = folders.take_in(archive, limits)
    return found, sha256


class _Git:
    """Git in an empty repository of ours, below `scratch`."""

    def __init__(self, scratch: Path, protocol: str) -> None:
        (scratch / "config").write_text(_CONFIG)
        self._repository = scratch / "repository"
        kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        self._environment = kept | {
            "HOME": str(scratch),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(scratch / "config"),
            "GIT_ALLOW_PROTOCOL": protocol,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_NO_LAZY_FETCH": "1",
            "LC_ALL": "C",
        }
        if shutil.which("git") is None:
            raise CodeRefused("This server has no git.", "Install it where the server runs.")
        self._run("init", "--quiet", "--bare", "--template=", str(self._repository))

    def whole_hash(self, origin: Path | str, commit: str) -> str:
        """The commit with all digits, where `commit` has some of them; else `commit`."""
        if not _SHORT.fullmatch(commit) or _HASH.fullmatch(commit):
            return commit
        if isinstance(origin, str):
            raise CodeRefused(
                f"commit {commit!r} has not all digits, and {origin} finds none by some of them.",
                "Write the whole hash: git rev-parse COMMIT.",
            )
        return self._resolved(commit, "-C", str(origin))

    def resolved(self, name: str) -> str:
        """The hash of the commit that our repository calls so."""
        return self._resolved(name, "--git-dir", str(self._repository))

    def fetch(self, origin: Path | str, commit: str) -> None:
        """Have the commit, without those before it."""
        address = origin.as_uri() if isinstance(origin, Path) else origin
        options = ("--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-gc")
        self._run("--git-dir", str(self._repository), "fetch", *options, "--", address, commit)

    @contextmanager
    def archive(self, commit: str) -> Iterator[Readable]:
        """The commit's files as a tar file."""
        command = ["git", "--git-dir", str(self._repository), "archive", "--format=tar", commit]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self._environment
        ) as process:
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.kill()  # what is too large is not read to its end

    def _resolved(self, name: str, *where: str) -> str:
        found = self._run(*where, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return found.strip()

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                env=self._environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CodeRefused(f"The repository did not answer for {TIMEOUT_S:g} s.") from error
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["there is no such commit"])[-1]
            raise CodeRefused(f"Git found no such commit: {said[:300]}.")
        return done.stdout
