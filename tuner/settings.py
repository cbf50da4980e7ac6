"""What the operator sets, by environment variables ``TUNER_*``."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The operator's choices; every one has a default that works on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="TUNER_", frozen=True, extra="ignore", populate_by_name=True
    )

    #: Where everything lives that no setting places elsewhere.
    home: Path = Path("~/.tuner")
    #: ``postgresql://…``; empty for a SQLite file in `home`.
    database_url: str = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8700
    #: Required beyond loopback; then every route but health asks for it.
    api_token: SecretStr | None = None
    #: Names this server answers to beside its own address, against DNS rebinding.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    #: Folders below which a spec may name data; separated by colons.
    data_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    #: Modules from which a spec may name parts by import path, with all below them; separated by
    #: commas.
    allowed_code: Annotated[tuple[str, ...], NoDecode] = ()
    #: Whether jobs may bring code of their own.
    allow_uploaded_code: bool = False
    #: Folders below which a spec may name Git repositories; separated by colons.
    code_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    #: Addresses, ``https://…``, below which a spec may name Git repositories; separated by commas.
    allowed_git: Annotated[tuple[str, ...], NoDecode] = ()
    #: Whether jobs may be commands, which run as whoever runs the workers.
    allow_commands: bool = False
    #: CPU cores for trials; by default all that this process may use.
    cpus: Annotated[float, Field(gt=0)] | None = None
    max_body_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    #: Largest file that may be uploaded as data.
    upload_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024**3
    #: Largest archive of code that may be uploaded.
    code_upload_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024**2
    #: What the files of a job's code may take, unpacked.
    code_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024**2
    #: How many files and folders a job's code may have.
    code_files: Annotated[int, Field(ge=1)] = 10_000
    #: The longest path of a file of a job's code, in UTF-8.
    code_path_bytes: Annotated[int, Field(ge=16, le=4000)] = 240
    #: Longest log kept of one attempt.
    log_bytes: Annotated[int, Field(ge=4096)] = 1024 * 1024

    #: Where checkpoints and networks are kept: a folder, or an address such as
    #: ``s3://bucket/prefix``; empty for `artifacts`.
    artifact_store: str = Field(default="", validation_alias="TUNER_ARTIFACTS")
    #: What checkpoints, networks and logs may take in all; above it nothing new starts.
    disk_gb: Annotated[float, Field(gt=0)] = 100.0
    #: What decoded data may take.
    cache_gb: Annotated[float, Field(gt=0)] = 20.0

    @field_validator("data_roots", "code_roots", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        return tuple(p for p in value.split(os.pathsep) if p) if isinstance(value, str) else value

    @field_validator("allowed_hosts", "allowed_code", "allowed_git", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @cached_property
    def root(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().resolve()

    @property
    def url(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.root / 'tuner.db'}"

    @property
    def artifacts(self) -> Path:
        """What attempts leave on this host: logs and, without `artifact_store`, all the rest."""
        return self.root / "artifacts"

    @property
    def artifact_root(self) -> str:
        """The folder or address of checkpoints and networks: one for api, scheduler and workers."""
        return self.artifact_store or str(self.artifacts)

    @property
    def cache(self) -> Path:
        """Decoded data, converted networks, compiled steps; may be deleted at any time."""
        return self.root / "cache"

    @property
    def roots(self) -> tuple[str, ...]:
        """The data roots, absolute: those given, by default `home`'s own ``data`` folder, and last
        that of uploaded data."""
        given = self.data_roots or (self.root / "data",)
        return tuple(str(path.expanduser().resolve()) for path in (*given, self.datasets))

    @property
    def trial_folders(self) -> Path:
        """What trials of foreign code keep for their next attempts, a folder for each."""
        return self.root / "trial_folders"

    @property
    def datasets(self) -> Path:
        """Uploaded data, a folder for each data set."""
        return self.root / "datasets"

    @property
    def code(self) -> Path:
        """Code of jobs, a folder for each, named by its content."""
        return self.root / "code"

    @property
    def repository_roots(self) -> tuple[Path, ...]:
        """The code roots, absolute."""
        return tuple(path.expanduser().resolve() for path in self.code_roots)
