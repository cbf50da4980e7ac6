"""The key `code` of a spec: where the code of a job's own is from."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, field_validator, model_validator

from tuner.foreign.manifest import is_sha256


class Code(BaseModel):
    """Where the code of a job's own is from: uploaded under its checksum, or a Git commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Of the folder's manifest; of a commit, filled in at submission.
    sha256: StrictStr | None = None
    #: A folder below a code root, or an address.
    git: Annotated[StrictStr, Field(min_length=1, max_length=500)] | None = None
    #: A commit, branch or tag; of a stored spec, the whole hash of the commit.
    commit: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None

    @field_validator("sha256")
    @classmethod
    def _is_a_checksum(cls, sha256: str | None) -> str | None:
        if sha256 is not None and not is_sha256(sha256):
            raise ValueError("write the 64 hexadecimal digits that tuner code add shows")
        return sha256

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.git is None) != (self.commit is None) or (self.git or self.sha256) is None:
            raise ValueError(
                "write {sha256: …}, as tuner submit --code does, or {git: …, commit: …}"
            )
        return self
