"""What the scheduler does about files, on a real database and a real folder."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.factories import NOON, insert_job, insert_trials
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.places import trial_folder
from tuner.artifacts.store import ArtifactsUnavailable
from tuner.clock import utc_now
from tuner.db import Database, jobs, requests
from tuner.leader.housekeeping import COLLECT_EVERY, Housekeeping
from tuner.leader.inbox import Inbox
from tuner.scheduler.commands import RecordCheckpoint
from tuner.settings import Settings
from tuner.store.replay import Retired


class Unreliable(FolderStore):
    """A folder that can be told to be away."""

    away = False
    broken = False

    def delete_folder(self, folder: str) -> None:
        if self.broken:
            raise KeyError("a mistake of the store's own")
        if self.away:
            raise ArtifactsUnavailable("far", "it is away")
        super().delete_folder(folder)


@pytest.fixture
def store(settings: Settings) -> Unreliable:
    return Unreliable(settings.artifacts)


@pytest.fixture
def housekeeping(
    sqlite_database: Database, settings: Settings, store: Unreliable
) -> Iterator[Housekeeping]:
    found = Housekeeping(sqlite_database, settings, store, lambda: NOON)
    yield found
    found.close()


def uris_in(store: FolderStore) -> list[str]:
    return [file.uri for file in store.files("jobs")]


def test_superseded_files_go_and_only_those_of_the_trial_that_said_so(
    housekeeping: Housekeeping, store: Unreliable
) -> None:
    mine, other = trial_folder("job_1", 0), trial_folder("job_2", 0)
    for uri in (f"{mine}/1", f"{mine}/2", f"{other}/1"):
        store.put(uri, b"content")
    superseded = (f"{mine}/1", f"{other}/1", f"{mine}/../0/2", "../../etc/passwd")
    housekeeping.discard(
        RecordCheckpoint(
            job="job_1", trial=1, number=0, uri=f"{mine}/2", best=False, superseded=superseded
        )
    )
    housekeeping.close()
    assert uris_in(store) == [f"{mine}/2", f"{other}/1"]


def test_of_a_trial_that_is_kept_only_its_network_stays(
    housekeeping: Housekeeping, store: Unreliable
) -> None:
    best, loser = trial_folder("job_1", 0), trial_folder("job_1", 1)
    for uri in (f"{best}/1", f"{best}/m", f"{loser}/1"):
        store.put(uri, b"content")
    housekeeping.give_up("job_1", Retired(trials=[1], only=f"{best}/m"))
    housekeeping.close()
    assert uris_in(store) == [f"{best}/m"]


def test_a_mistake_while_files_are_removed_is_logged_and_the_next_are_removed(
    housekeeping: Housekeeping, store: Unreliable, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(f"{trial_folder('job_1', 0)}/m", b"content")
    store.broken = True
    assert not housekeeping.remove_job("job_1", []).result()
    store.broken = False
    assert housekeeping.remove_job("job_1", []).result()
    assert uris_in(store) == []
    assert "a mistake of the store's own" in caplog.text


def test_orphans_are_looked_for_at_the_start_and_every_hour(
    sqlite_database: Database, settings: Settings, store: Unreliable
) -> None:
    now = [NOON]
    job = insert_job(sqlite_database)
    insert_trials(sqlite_database, job, [{"state": "failed"}])
    housekeeping = Housekeeping(sqlite_database, settings, store, lambda: now[0])
    orphan = f"{trial_folder(job.ulid, 0)}/epoch-000001.safetensors"
    seen = []
    for later in (COLLECT_EVERY * 0, COLLECT_EVERY / 2, COLLECT_EVERY):
        store.put(orphan, b"content")
        now[0] = NOON + later
        housekeeping.look_for_orphans()
        assert housekeeping.remove_job("job_none", []).result()  # in order: the search is over
        seen.append(uris_in(store))
    assert seen == [[], [orphan], []]
    housekeeping.close()


def test_a_job_is_deleted_once_its_files_are_and_not_before(
    sqlite_database: Database, housekeeping: Housekeeping, store: Unreliable
) -> None:
    job = insert_job(sqlite_database, state="succeeded", finished_at=NOON)
    store.put(f"{trial_folder(job.ulid, 0)}/m", b"content")
    row = {"job_id": job.id, "kind": "delete", "payload": {}, "created_at": utc_now()}
    with sqlite_database.writing() as connection:
        connection.execute(sa.insert(requests), row)
    inbox = Inbox(sqlite_database, housekeeping.remove_job)

    def look() -> int | None:
        assert list(inbox.requests(lambda job: False, NOON)) == []
        housekeeping.remove_job("job_none", []).exception()  # what was begun before it is over
        with sqlite_database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(jobs))

    store.away = True
    assert [look() for _ in range(3)] == [1, 1, 1]
    assert uris_in(store)
    store.away = False
    assert look() == 1
    assert uris_in(store) == []
    assert look() == 0
