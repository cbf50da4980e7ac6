"""Which store an address means."""

from pathlib import Path

from tuner.artifacts.folder import FolderStore
from tuner.artifacts.store import ArtifactStore


def open_store(address: str) -> ArtifactStore:
    """The store at `address`: a folder, or what ``s3://bucket/prefix`` and its like name."""
    if "://" not in address:
        return FolderStore(Path(address).expanduser().absolute())
    from tuner.artifacts.remote import RemoteStore  # a folder needs no client

    return RemoteStore(address)
