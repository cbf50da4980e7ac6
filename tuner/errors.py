"""Everything that can go wrong, one sentence each, with the facts as attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class TunerError(Exception):
    """The root of all errors this project raises on purpose."""

    #: What to do next, for the person who reads the error; None where there is nothing to add.
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a document: where (JSON pointer), which kind, and in words."""

    pointer: str
    code: str
    detail: str


class SpecInvalid(TunerError):
    """The description of a job cannot be carried out."""

    def __init__(self, faults: Sequence[Fault], hint: str | None = None) -> None:
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = tuple(faults)
        self.hint = hint


class JobNotFound(TunerError):
    """No job has this id."""

    hint = "GET /v1/jobs (or `tuner list`) shows the jobs there are."

    def __init__(self, job: str) -> None:
        super().__init__(f"No job {job}.")
        self.job = job


class TrialNotFound(TunerError):
    """The job has no trial of this number."""

    def __init__(self, job: str, number: int) -> None:
        super().__init__(f"Job {job} has no trial {number}.")
        self.job = job
        self.number = number


class ArtifactNotFound(TunerError):
    """The file asked for is not there."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what}.")
        self.what = what


class FormatUnavailable(TunerError):
    """This server cannot write the network in this format."""

    hint = "What is missing is installed where the server runs; safetensors needs nothing more."

    def __init__(self, file_format: str, why: str) -> None:
        super().__init__(f"There is no format = {file_format!r} here: {why}")
        self.file_format = file_format
        self.why = why


class ConversionFailed(TunerError):
    """The network could not be written in another format."""

    hint = "Take it as safetensors; `models.exported.predictor` shows how it is converted."

    def __init__(self, file_format: str, why: str) -> None:
        super().__init__(f"The network was not converted to {file_format}: {why}.")
        self.file_format = file_format
        self.why = why


class ConversionBusy(TunerError):
    """Other networks are being converted, one at a time."""

    hint = "Ask again in a minute, or take it as safetensors."

    def __init__(self, file_format: str) -> None:
        super().__init__(f"Other networks are being converted; {file_format} has to wait.")
        self.file_format = file_format


class PlanningBusy(TunerError):
    """Other specs that name code by import path are being looked at, one at a time."""

    hint = "Submit it again in a minute."


class NoCompletedTrial(TunerError):
    """The job has no result yet."""

    hint = "Wait for the first completed trial: `tuner watch` or GET /v1/jobs/{job}/events."

    def __init__(self, job: str, state: str) -> None:
        super().__init__(f"Job {job} ({state}) has no completed trial yet.")
        self.job = job
        self.state = state


class TransitionRefused(TunerError):
    """The job's state does not allow what was asked."""

    def __init__(self, subject: str, state: str, wanted: str) -> None:
        super().__init__(f"{subject} is {state}; it cannot become {wanted}.")
        self.subject = subject
        self.state = state
        self.wanted = wanted


class StaleRevision(TunerError):
    """The job was changed since the caller read it."""

    hint = "Read the job again and repeat the change with its revision."

    def __init__(self, job: str, given: int, current: int) -> None:
        super().__init__(f"Job {job} is at revision {current}, not {given}.")
        self.job = job
        self.given = given
        self.current = current


class IdempotencyKeyReused(TunerError):
    """The key was used before, for another job."""

    hint = "Use a new Idempotency-Key for a new job."

    def __init__(self, key: str, job: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} already names job {job}, with another spec.")
        self.key = key
        self.job = job


class StoreUnavailable(TunerError):
    """The database cannot be reached or is locked by another."""

    hint = "Try again in a moment; trials go on meanwhile."

    def __init__(self, detail: str) -> None:
        super().__init__(f"The database does not answer: {detail}")


class SchemaMismatch(TunerError):
    """The database's schema is not the one this version needs."""

    hint = "Stop the service, back the database up, and run `tuner db upgrade`."

    def __init__(self, found: str | None, needed: str) -> None:
        super().__init__(f"The database is at schema {found or 'none'}; this needs {needed}.")
        self.found = found
        self.needed = needed
        if found is None:
            self.hint = "Run `tuner db upgrade`."
        elif found > needed:  # steps are numbered, with leading zeros
            self.hint = (
                "A newer version of this program wrote the database, and nothing leads back: "
                "install that version or a later one, or restore a backup."
            )


class SchedulerBusy(TunerError):
    """The scheduler has not applied a request in time; it stands in the queue."""

    def __init__(self, job: str, request: str) -> None:
        super().__init__(f"{request} of job {job} is recorded; no scheduler has applied it yet.")
        self.job = job
        self.request = request


class UploadRefused(TunerError):
    """What is said of an upload cannot be."""

    def __init__(self, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.hint = hint


class UploadTooLarge(TunerError):
    """The file is larger than this server takes."""

    hint = "Raise TUNER_UPLOAD_BYTES and start the server again, or copy it below a data root."

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The file is larger than {limit:,} bytes, the limit that TUNER_UPLOAD_BYTES sets."
        )
        self.limit = limit


class UploadNotFound(TunerError):
    """There is no such upload, or it is finished or given up."""

    hint = "Begin it again: POST /v1/datasets with the same name, file name, length and sha256."

    def __init__(self, upload: str) -> None:
        super().__init__(f"No upload {upload}.")
        self.upload = upload


class UploadOffsetWrong(TunerError):
    """The upload is not where the caller goes on."""

    hint = "Go on at the offset in the answer's Upload-Offset; HEAD tells it, too."

    def __init__(self, upload: str, given: int, offset: int) -> None:
        super().__init__(f"Upload {upload} holds {offset:,} bytes; it cannot go on at {given:,}.")
        self.upload = upload
        self.given = given
        self.offset = offset


class ChecksumWrong(TunerError):
    """What arrived is not what was announced."""

    hint = "Nothing was kept. See that the file does not change meanwhile, and upload it again."

    def __init__(self, filename: str, announced: str, found: str) -> None:
        super().__init__(f"{filename} arrived with the SHA-256 {found}, not {announced}.")
        self.announced = announced
        self.found = found


class DatasetNotFound(TunerError):
    """No uploaded data set has this name."""

    hint = "GET /v1/datasets (or `tuner data list`) shows those there are."

    def __init__(self, name: str) -> None:
        super().__init__(f"No uploaded data set {name}.")
        self.name = name


class DatasetTaken(TunerError):
    """The name stands for something else already."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


class DatasetInUse(TunerError):
    """A job that is not finished reads the data set."""

    def __init__(self, name: str, job: str) -> None:
        super().__init__(f"Job {job} reads data set {name}, which must not change until it ends.")
        self.hint = f"Wait for the job, or end it: tuner cancel {job}."
        self.name = name
        self.job = job


class DiskFull(TunerError):
    """The disk has no room for the file."""

    hint = "Free some space (`tuner delete`, `tuner data delete`), then try again."

    def __init__(self, folder: str) -> None:
        super().__init__(f"The disk that holds {folder} has no room for the file.")
        self.folder = folder


class DiskLimitReached(TunerError):
    """Checkpoints, networks and logs take more than they may; nothing new starts."""

    hint = (
        "Delete finished jobs (`tuner delete JOB`, `tuner show JOB` tells what one takes), "
        "or raise TUNER_DISK_GB and start the server again."
    )

    def __init__(self, used: str, limit: str) -> None:
        super().__init__(
            f"Checkpoints, networks and logs take {used}; TUNER_DISK_GB allows {limit}."
        )
        self.used = used
        self.limit = limit


class LeadershipTaken(TunerError):
    """Another scheduler leads on this database."""

    def __init__(self, where: str) -> None:
        super().__init__(f"Another scheduler leads on {where}.")
        self.where = where


def nearest(name: str, known: Sequence[str]) -> str:
    """A clause that offers the nearest known name, or lists what there is."""
    matches = get_close_matches(name, known, n=1, cutoff=0.6)
    if matches:
        return f"did you mean {matches[0]!r}?"
    return "known: " + ", ".join(sorted(known)) + "."
