"""Which store an address means."""

from pathlib import Path

from tuner.artifacts.folder import FolderStore
from tuner.artifacts.store import ArtifactStore


def modules_of(address: str) -> list[str]:
    """What a worker that opens the store imports; a client of S3 takes a second to."""
    protocol, separator, _ = address.partition("://")
    if not separator:
        return []
    from fsspec.registry import known_implementations

    client = known_implementations.get(protocol, {}).get("class", "fsspec").rpartition(".")[0]
    return ["tuner.artifacts.remote", client or "fsspec"]


def open_store(address: str) -> ArtifactStore:
    """The store at `address`: a folder, or what ``s3://bucket/prefix`` and its like name.

    Raises:
        ArtifactsUnavailable: no client for such an address is installed.
    """
    if "://" not in address:
        return FolderStore(Path(address).expanduser().absolute())
    from tuner.artifacts.remote import RemoteStore  # a folder needs no client

    return RemoteStore(address)
