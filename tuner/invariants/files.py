"""What holds between rows and files: what a row names is there and whole, and nothing else is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from models.seal import Damaged, read_sealed_header
from tuner import artifacts
from tuner.db import Database, attempts, jobs, trials
from tuner.invariants.breach import Breach

_NAMED = sa.select(
    jobs.c.ulid, trials.c.id, trials.c.number, trials.c.checkpoint_uri, trials.c.model_uri
).join_from(trials, jobs, trials.c.job_id == jobs.c.id)
_ANY = sa.or_(trials.c.checkpoint_uri.is_not(None), trials.c.model_uri.is_not(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The folders of jobs and the logs of attempts that lie below the artifact root."""

    jobs: frozenset[str]
    attempts: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file below the artifact root that the row of a trial names."""

    #: The job's ulid.
    job: str
    #: The trial's primary key, and its number.
    row: int
    number: int
    uri: str


def listed(root: Path) -> Listing:
    """What lies there now. Taken before the rows are read: whatever has a row has it by then."""
    logs = artifacts.log_root(root).glob("*.log")
    return Listing(
        jobs=frozenset(path.name for path in (root / "jobs").glob("*") if path.is_dir()),
        attempts=frozenset(int(path.stem) for path in logs if path.stem.isdecimal()),
    )


def check_orphans(connection: sa.Connection, root: Path, found: Listing) -> Iterator[Breach]:
    """I9: what is left of a job or an attempt belongs to one there is."""
    for job in sorted(found.jobs - set(connection.scalars(sa.select(jobs.c.ulid)))):
        if (folder := root / artifacts.job_folder(job)).exists():
            yield _orphan(f"{folder} is of a job that is no more.", f"rm -r {folder}")
    for attempt in sorted(found.attempts - set(connection.scalars(sa.select(attempts.c.id)))):
        if (log := artifacts.log_root(root) / f"{attempt}.log").exists():
            yield _orphan(f"{log} is of an attempt that is no more.", f"rm {log}*")


def _orphan(detail: str, remedy: str) -> Breach:
    return Breach(invariant="I9", detail=detail, remedy=remedy)


def named_files(connection: sa.Connection) -> list[NamedFile]:
    """The files that rows of trials name, each once."""
    rows = connection.execute(_NAMED.where(_ANY).order_by(trials.c.id))
    return [
        NamedFile(job=row.ulid, row=row.id, number=row.number, uri=uri)
        for row in rows
        for uri in sorted({row.checkpoint_uri, row.model_uri} - {None})
    ]


def check_files(database: Database, root: Path, named: Iterable[NamedFile]) -> Iterator[Breach]:
    """I10: a checkpoint and a network that a row names are complete, and fit their checksums."""
    for file in named:
        why = _damage(root / file.uri)
        if why is not None and _still_names(database, file):
            yield Breach(
                invariant="I10",
                job=file.job,
                trial=file.number,
                detail=f"{file.uri} {why}.",
                remedy="Restore the file from a backup. Without it a trial under way goes on "
                "from an older checkpoint, or starts over; a network that is lost can be "
                "trained again by a job whose start has the trial's parameters.",
            )


def _damage(path: Path) -> str | None:
    """What is wrong with a file, if anything is."""
    try:
        with path.open("rb") as file:
            read_sealed_header(file)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except Damaged as error:
        return f"is damaged: {error}"
    return None


def _still_names(database: Database, file: NamedFile) -> bool:
    """Whether the file is not one that was given up since the rows were read."""
    uris = (trials.c.checkpoint_uri, trials.c.model_uri)
    query = _NAMED.where(trials.c.id == file.row, sa.or_(*(uri == file.uri for uri in uris)))
    with database.reading() as connection:
        return connection.execute(query).first() is not None
