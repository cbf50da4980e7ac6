"""Git repositories with some commits."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.archives import write


def git(folder: Path, *arguments: str) -> str:
    """What Git says, as somebody with a name and no configuration."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(folder: Path, *versions: Mapping[str, str]) -> list[str]:
    """A repository with a commit for each version of these files; the hashes of the commits."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return [commit(folder, files) for files in versions]


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Commit these files over what there is; the commit's hash."""
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x")
    return git(folder, "rev-parse", "HEAD")
