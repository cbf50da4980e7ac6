"""One place where an invariant does not hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """What breaks an invariant, where, and how to mend it."""

    #: I1 to I12, as docs/architecture.md numbers them.
    invariant: str
    detail: str
    remedy: str
    #: The job's id outside; None where it is about no single job.
    job: str | None = None
    #: The trial's number within its job.
    trial: int | None = None
    attempt: int | None = None

    @property
    def where(self) -> str:
        """Job, trial and attempt, as far as it is about any."""
        parts = (
            self.job,
            None if self.trial is None else f"trial {self.trial}",
            None if self.attempt is None else f"attempt {self.attempt}",
        )
        return ", ".join(part for part in parts if part)
