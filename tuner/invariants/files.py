"""What holds between rows and files: what a row names is there and whole, and nothing else is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from models.seal import Damaged, read_sealed_header
from tuner.artifacts.places import JOBS, job_folder, log_root
from tuner.artifacts.store import ArtifactStore
from tuner.db import Database, attempts, jobs, trials
from tuner.errors import ArtifactNotFound
from tuner.invariants.breach import Breach

_NAMED = sa.select(
    jobs.c.ulid, trials.c.id, trials.c.number, trials.c.checkpoint_uri, trials.c.model_uri
).join_from(trials, jobs, trials.c.job_id == jobs.c.id)
_ANY = sa.or_(trials.c.checkpoint_uri.is_not(None), trials.c.model_uri.is_not(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The jobs that have files in the artifact store, and the attempts that have logs here."""

    jobs: frozenset[str]
    attempts: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file in the artifact store that the row of a trial names."""

    #: The job's ulid.
    job: str
    #: The trial's primary key, and its number.
    row: int
    number: int
    uri: str


def listed(store: ArtifactStore, host: Path) -> Listing:
    """What lies there now, and on this host. Taken before the rows are read: whatever has a row
    has it by then.

    Raises:
        ArtifactsUnavailable: the store does not answer.
    """
    logs = log_root(host).glob("*.log")
    return Listing(
        jobs=frozenset(file.uri.split("/")[1] for file in store.files(JOBS)),
        attempts=frozenset(int(path.stem) for path in logs if path.stem.isdecimal()),
    )


def check_orphans(
    connection: sa.Connection, store: ArtifactStore, host: Path, found: Listing
) -> Iterator[Breach]:
    """I9: what is left of a job or an attempt belongs to one there is."""
    for job in sorted(found.jobs - set(connection.scalars(sa.select(jobs.c.ulid)))):
        if store.files(folder := job_folder(job)):
            yield _orphan(
                f"{folder} in the artifact store is of a job that is not in this database.",
                "Remove the folder, unless another database has the job.",
            )
    for attempt in sorted(found.attempts - set(connection.scalars(sa.select(attempts.c.id)))):
        if (log := log_root(host) / f"{attempt}.log").exists():
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


def check_files(
    database: Database, store: ArtifactStore, named: Iterable[NamedFile], cache: Path
) -> Iterator[Breach]:
    """I10: a checkpoint and a network that a row names are complete, and fit their checksums.

    Files that are elsewhere are copied into `cache`.
    """
    for file in named:
        why = _damage(store, file.uri, cache)
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


def _damage(store: ArtifactStore, uri: str, cache: Path) -> str | None:
    """What is wrong with a file, if anything is."""
    try:
        with store.fetch(uri, cache).open("rb") as file:
            read_sealed_header(file)
    except (ArtifactNotFound, FileNotFoundError):
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
