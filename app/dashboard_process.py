"""Starts the dashboard's process when somebody wants it, and ends it with the api."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

GRACE_S: Final = 5.0
#: Requests that may wait while the process imports its libraries.
BACKLOG: Final = 128

Process = asyncio.subprocess.Process


class DashboardProcess:
    """At most one process, which serves on a socket that we hold.

    The socket listens before the process does and outlives it: requests wait in its queue while
    a process starts. It is a file that only our user may open, for the dashboard itself asks
    nobody for a token. Belongs to one event loop.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._starting = asyncio.Lock()
        self._process: Process | None = None
        self._socket: socket.socket | None = None
        self._folder: Path | None = None
        self._folder_descriptor = -1

    @property
    def address(self) -> str:
        """The socket's path in this process; it is there once `running` has returned."""
        folder = self._folder_of_socket()
        if sys.platform == "linux":
            # A socket's path has at most 107 bytes, which temporary folders can exceed.
            folder = Path(f"/proc/self/fd/{self._folder_descriptor}")
        return str(folder / "socket")

    @property
    def current(self) -> Process | None:
        """The process started last, whether it still runs or not."""
        return self._process

    async def running(self) -> Process:
        """The process, started now unless it runs.

        Raises:
            OSError: the system has no process, socket or file for us.
        """
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await self._start(self._listening())
            return self._process

    def _folder_of_socket(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tuner-dashboard-"))
            self._folder_descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return self._folder

    def _listening(self) -> socket.socket:
        if self._socket is None:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(self.address)
            listening.listen(BACKLOG)
            self._socket = listening
        return self._socket

    async def _start(self, listening: socket.socket) -> Process:
        descriptor = listening.fileno()
        return await asyncio.create_subprocess_exec(
            sys.executable,
            # The current folder may hold a user's `models` or `app`; they are not ours.
            "-P",
            "-m",
            "app.dashboard_server",
            str(descriptor),
            str(os.getpid()),
            env=self._environment(),
            pass_fds=(descriptor,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        """Ours, without the token, which is none of its business.

        The database's address may hold a password; among the arguments everyone would see it.
        """
        ours = {name: value for name, value in os.environ.items() if name != "TUNER_API_TOKEN"}
        return ours | {"TUNER_DATABASE_URL": self._database_url}

    async def stop(self) -> None:
        """End the process and remove the socket."""
        async with self._starting:
            if self._process is not None:
                await _end(self._process)
            if self._socket is not None:
                self._socket.close()
            if self._folder is not None:
                os.close(self._folder_descriptor)
                shutil.rmtree(self._folder, ignore_errors=True)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), GRACE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
