"""Processes of this host, found by what stands in the environment they were started with."""

from pathlib import Path


def processes_with(variable: str, value: str) -> set[int]:
    """Those with this value of the variable; none that has ended."""
    numbers = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return {pid for pid in numbers if has(pid, variable, value)}


def has(pid: int, variable: str, value: str) -> bool:
    """Whether the process has this value of the variable; False where it has ended."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False  # it has ended meanwhile, is a zombie, or is somebody else's
    return f"{variable}={value}".encode() in environ.split(b"\0")
