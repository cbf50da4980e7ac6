"""Code that no job names goes after a while, and no other."""

import io
import os
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.archives import LIMITS, tar_of
from tests.factories import NOON, insert_job, make_spec
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.places import job_folder
from tuner.db import Database, jobs
from tuner.foreign.folders import CodeFolders
from tuner.foreign.unpacking import CodeLimits
from tuner.leader.housekeeping import Housekeeping
from tuner.leader.orphaned_code import UNUSED_FOR, collect_orphaned_code
from tuner.settings import Settings


@pytest.fixture
def folders(settings: Settings) -> CodeFolders:
    return CodeFolders(settings.code)


@pytest.fixture
def store(settings: Settings) -> FolderStore:
    return FolderStore(settings.artifacts)


def taken(folders: CodeFolders, text: str, ago: timedelta = 2 * UNUSED_FOR) -> str:
    """Code with this text in it, taken in so long ago."""
    archive = io.BytesIO(tar_of({"a.py": text}))
    sha256, _ = folders.take_in(archive, CodeLimits(**LIMITS))
    at = (NOON - ago).timestamp()
    os.utime(folders.folder(sha256).parent / "manifest", (at, at))
    return sha256


def test_old_code_that_no_job_names_goes(
    database: Database, folders: CodeFolders, store: FolderStore
) -> None:
    named, gone = taken(folders, "named"), taken(folders, "gone")
    new = taken(folders, "new", ago=timedelta(days=1))
    insert_job(database, spec=make_spec(code={"sha256": named}), state="failed")
    assert collect_orphaned_code(store, database, folders, NOON) == 1
    assert folders.names() == sorted([named, new])
    assert not folders.has(gone)
    assert collect_orphaned_code(store, database, folders, NOON) == 0


def test_code_that_was_asked_for_lately_stays(
    database: Database, folders: CodeFolders, store: FolderStore
) -> None:
    sha256 = taken(folders, "asked for")
    assert folders.has(sha256)
    assert collect_orphaned_code(store, database, folders, NOON) == 0


def test_a_job_whose_spec_is_damaged_keeps_its_code(
    sqlite_database: Database, folders: CodeFolders, store: FolderStore
) -> None:
    sha256 = taken(folders, "named")
    insert_job(sqlite_database)
    with sqlite_database.writing() as connection:
        damaged = sa.type_coerce(sa.literal(f'{{"code": "{sha256}"'), sa.Text)
        connection.execute(sa.update(jobs).values(spec=sa.cast(damaged, sa.Text)))
    assert collect_orphaned_code(store, sqlite_database, folders, NOON) == 0


def test_where_another_database_may_share_the_folder_all_code_stays(
    database: Database, folders: CodeFolders, store: FolderStore
) -> None:
    taken(folders, "of another")
    store.put(f"{job_folder('job_elsewhere')}/trials/0/m", b"content")
    assert collect_orphaned_code(store, database, folders, NOON) == 0


def test_housekeeping_looks_for_it(
    database: Database, folders: CodeFolders, store: FolderStore, settings: Settings
) -> None:
    taken(folders, "gone")
    housekeeping = Housekeeping(database, settings, store, lambda: NOON)
    housekeeping.look_for_orphans()
    housekeeping.close()
    assert folders.names() == []
