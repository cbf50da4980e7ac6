"""The checkup finds nothing in a sound database, and every invariant that somebody broke."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from torch import zeros

from models.sealed import seal
from tests.factories import (
    NOON,
    StoredJob,
    insert_attempt,
    insert_events,
    insert_host,
    insert_job,
    insert_metrics,
    insert_trials,
    insert_tried,
)
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.places import job_folder, trial_folder
from tuner.db import Database, attempts, events, hosts, jobs, metrics, trials
from tuner.invariants.breach import Breach
from tuner.invariants.check import check_invariants
from tuner.scheduler.retry import MAX_COUNTED_ATTEMPTS
from tuner.settings import Settings

ENDED = {"finished_at": NOON + timedelta(seconds=10)}
LOST = {"state": "lost", "reason": "worker_lost", **ENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A running job in a database with nothing to find fault with, and what is in it."""

    database: Database
    root: Path
    job: StoredJob
    #: Of the trials: 0 completed, 1 running after a loss, 2 failed, 3 queued.
    trials: list[int]
    #: The attempt of trial 0, those of trial 1, that of trial 2.
    attempts: list[int]

    def breaches(self) -> tuple[Breach, ...]:
        return check_invariants(self.database, FolderStore(self.root), self.root, now=NOON).breaches

    def change(self, statement: sa.Update | sa.Insert | sa.Delete) -> None:
        with self.database.writing() as connection:
            connection.execute(statement)

    def change_job(self, **columns: object) -> None:
        self.change(sa.update(jobs).where(jobs.c.id == self.job.id).values(columns))

    def change_trial(self, place: int, **columns: object) -> None:
        self.change(sa.update(trials).where(trials.c.id == self.trials[place]).values(columns))

    def change_attempt(self, place: int, **columns: object) -> None:
        row = self.attempts[place]
        self.change(sa.update(attempts).where(attempts.c.id == row).values(columns))

    def file(self, name: str) -> Path:
        return self.root / trial_folder(self.job.ulid, 0) / name


@pytest.fixture
def sound(database: Database, settings: Settings) -> Sound:
    root = settings.artifacts
    job = insert_job(database, parallel=2, budget={"trials": 4, "epochs": 3})
    uri = f"{trial_folder(job.ulid, 0)}/model.safetensors"
    (root / uri).parent.mkdir(parents=True)
    (root / uri).write_bytes(b"".join(seal({"weight": zeros(8)}, {"format": 0})))
    made = insert_tried(database, job, [{"value": 0.5, "model_uri": uri}])
    made += insert_trials(
        database,
        job,
        [
            {"state": "running", "attempts": 2, "counted": 1},
            {"state": "failed", "counted": 1, "reason": "nan"},
            {"state": "queued"},
        ],
    )
    insert_metrics(database, made[0], [{"val_accuracy": 0.4}, {"val_accuracy": 0.5}])
    insert_host(database, "here")
    insert_events(database, job, ["submitted", "started"])
    with database.reading() as connection:
        first = connection.execute(sa.select(attempts.c.id)).scalar_one()
    return Sound(
        database=database,
        root=root,
        job=job,
        trials=made,
        attempts=[
            first,
            insert_attempt(database, job, made[1], **LOST),
            insert_attempt(database, job, made[1], ordinal=2),
            insert_attempt(database, job, made[2], state="failed", reason="nan", **ENDED),
        ],
    )


Break = Callable[[Sound], object]


def run_twice(sound: Sound) -> None:
    insert_attempt(sound.database, sound.job, sound.trials[1], ordinal=3)
    sound.change_trial(1, attempts=3)


def succeed_twice(sound: Sound) -> None:
    insert_attempt(
        sound.database, sound.job, sound.trials[0], ordinal=2, state="succeeded", **ENDED
    )
    sound.change_trial(0, attempts=2)


def run_too_many(sound: Sound) -> None:
    sound.change_job(parallel=1)
    insert_attempt(sound.database, sound.job, sound.trials[3])
    sound.change_trial(3, state="running", attempts=1)
    sound.change_job(queued=0, running=2)


def try_too_often(sound: Sound) -> None:
    for ordinal in range(3, 6):
        insert_attempt(sound.database, sound.job, sound.trials[1], ordinal=ordinal, **LOST)
    sound.change_trial(1, attempts=5, counted=4)


def lose_an_event(sound: Sound) -> None:
    sound.change(sa.delete(events).where(events.c.seq == 1))


def finish_early(sound: Sound) -> None:
    sound.change_job(state="succeeded", finished_at=NOON)


def hold_too_much(sound: Sound) -> None:
    sound.change_attempt(2, cpus=64.0)


def hold_too_much_of_a_gpu(sound: Sound) -> None:
    sound.change_attempt(2, device="cuda:0", gpu_share=1.5)


def leave_a_folder(sound: Sound) -> None:
    FolderStore(sound.root).put(f"{job_folder('job_gone')}/trials/0/model.safetensors", b"left")


def leave_a_log(sound: Sound) -> None:
    (sound.root / "logs").mkdir()
    (sound.root / "logs" / "4711.log").write_text("still here")


def flip_a_bit(sound: Sound) -> None:
    data = bytearray(sound.file("model.safetensors").read_bytes())
    data[-1] ^= 1
    sound.file("model.safetensors").write_bytes(data)


def forget_a_trial(sound: Sound) -> None:
    sound.change_trial(3, number=4)


BROKEN: list[tuple[str, Break, str, int | None, str]] = [
    ("I1", lambda s: s.change_job(completed=7), "It counts 7 trials completed, and has 1.", None,
     "UPDATE jobs SET completed = 1"),
    ("I1", lambda s: s.change_job(best_value=0.9), "trial 0, with 0.5", None, "best_number = 0"),
    ("I1", lambda s: s.change_trial(0, state="pruned"), "that is trial None", None,
     "best_number = NULL, best_value = NULL"),
    ("I1", forget_a_trial, "numbered 0 to 4: some are missing", None, "restore"),
    ("I2", lambda s: s.change_job(budget={"trials": 3, "epochs": 3}),
     "It has 4 trials, and budget.trials = 3.", None, "budget.trials = 4"),
    ("I2", run_too_many, "2 of its trials run at once, and parallel = 1.", None, "tuner pause"),
    ("I3", run_twice, "2 attempts of it run at once.", 1, "state = 'lost'"),
    ("I3", succeed_twice, "2 of its attempts succeeded", 0, "restore"),
    ("I3", lambda s: s.change_trial(0, value=None), "completed with the value None", 0, "restore"),
    ("I3", lambda s: s.change_attempt(0, state="failed", reason="nan"),
     "0 of its attempts succeeded", 0, "restore"),
    ("I4", lambda s: s.change_attempt(2, **LOST), "It is running, and 0 of its attempts", 1,
     "restore"),
    ("I4", lambda s: s.change(sa.update(hosts).values(beat_at=NOON - timedelta(seconds=31))),
     "whose scheduler was last heard", 1, "tuner serve"),
    ("I4", lambda s: s.change(sa.delete(hosts)), "last heard None", 1, "tuner serve"),
    ("I5", try_too_often, f"at most {MAX_COUNTED_ATTEMPTS} may", 1, "counted = 4"),
    ("I5", lambda s: s.change_trial(1, attempts=9), "It says 9 attempts", 1, "attempts = 2"),
    ("I6", lose_an_event, "Its 1 events end with number 2", None, "restore"),
    ("I8", finish_early, "2 of its trials are not final", None, "restore"),
    ("I8", finish_early, "1 of its attempts are running", None, "restore"),
    ("I8", lambda s: s.change_job(state="failed"), "It is failed, and its end is None", None,
     "restore"),
    ("I8", lambda s: s.change_trial(0, finished_at=None), "its end is None", 0, "restore"),
    ("I8", lambda s: s.change_attempt(2, **ENDED), "It is running, and its end is", 1, "restore"),
    ("I9", hold_too_much, "hold 64 of cpu on host here, which has 4.", None, "Restart"),
    ("I9", hold_too_much_of_a_gpu, "hold 1.5 of cuda:0 on host here", None, "Restart"),
    ("I9", leave_a_folder, "jobs/job_gone in the artifact store is of a", None, "Remove"),
    ("I9", leave_a_log, "4711.log is of an attempt that is no more", None, "rm "),
    ("I10", flip_a_bit, "do not fit its checksum", 0, "backup"),
    ("I10", lambda s: s.file("model.safetensors").unlink(), "is not there", 0, "backup"),
    ("I11", forget_a_trial, "Study and rows differ in its presence", 3, "Restart"),
    ("I11", lambda s: s.change_trial(0, params={"lr": "fast"}), "Its rows make no study", None,
     "restore"),
    ("I2", lambda s: s.change_job(budget={"trials": "some", "epochs": 3}),
     "budget.trials is some, which is no", None, "restore"),
    ("I2", lambda s: s.change_job(budget={"trials": 7.5}), "is 7.5, which", None, "restore"),
    ("I2", lambda s: s.change_job(budget={"trials": 10**30}), "which is no number", None,
     "restore"),
    ("I2", lambda s: s.change_job(budget=[4]), "budget.trials is None", None, "restore"),
    ("I11", lambda s: s.change_job(plan="lost"), "Its rows make no study", None, "restore"),
    ("I11", lambda s: s.change(sa.update(metrics).values(values={"val_accuracy": "high"})),
     "Its rows make no study: ValueError", None, "restore"),
    ("I9", lambda s: s.change(sa.update(hosts).values(inventory=[7])),
     "says of its devices cannot be read", None, "Start the service"),
    ("I11", lambda s: s.change_trial(0, value=None), "differ in its state", 0, "Restart"),
    ("I12", lambda s: s.change_attempt(3, reason=None), "It is failed, and its reason is None", 2,
     "log"),
    ("I12", lambda s: s.change_trial(2, reason=None), "no reason is given", 2, "tuner logs"),
]  # fmt: skip


def test_a_sound_database_has_no_breach(sound: Sound) -> None:
    checkup = check_invariants(sound.database, FolderStore(sound.root), sound.root, now=NOON)
    assert checkup.breaches == ()
    assert (checkup.jobs, checkup.trials, checkup.attempts, checkup.files) == (1, 4, 4, 1)


@pytest.mark.parametrize(("invariant", "broken", "detail", "trial", "remedy"), BROKEN)
def test_what_somebody_broke_is_found_where_it_is_and_has_a_remedy(
    sound: Sound, invariant: str, broken: Break, detail: str, trial: int | None, remedy: str
) -> None:
    broken(sound)
    found = [b for b in sound.breaches() if b.invariant == invariant and detail in b.detail]
    assert len(found) == 1, sound.breaches()
    (breach,) = found
    assert breach.trial == trial
    assert remedy in breach.remedy
    assert "{" not in breach.detail + breach.remedy


def test_two_jobs_of_one_key_are_found_where_the_database_lets_them_in(sound: Sound) -> None:
    with sound.database.writing() as connection:
        if sound.database.is_postgres:
            drop = "ALTER TABLE jobs DROP CONSTRAINT uq_jobs_idempotency_key"
            connection.exec_driver_sql(drop)
        else:
            connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
            connection.exec_driver_sql("ALTER TABLE jobs RENAME TO old_jobs")
            connection.exec_driver_sql("CREATE TABLE jobs AS SELECT * FROM old_jobs")
    sound.change_job(idempotency_key="night")
    other = insert_job(sound.database, id=99, idempotency_key="night", last_event=0)
    breaches = {breach.detail: breach for breach in sound.breaches() if breach.invariant == "I7"}
    assert "The database does not keep jobs (idempotency_key) unique." in breaches
    assert breaches["2 jobs have the idempotency key 'night'."].job == min(
        sound.job.ulid, other.ulid
    )


def test_the_statement_that_mends_the_counters_does(sound: Sound) -> None:
    sound.change_job(completed=7, created=9)
    with sound.database.writing() as connection:
        for breach in sound.breaches():
            connection.exec_driver_sql(breach.remedy.removeprefix("Stop the service, then "))
    assert sound.breaches() == ()


def test_attempts_that_are_ending_after_a_patch_are_no_breach(sound: Sound) -> None:
    run_too_many(sound)
    insert_events(sound.database, sound.job, ["patched"])
    assert sound.breaches() == ()
    later = check_invariants(
        sound.database, FolderStore(sound.root), sound.root, now=NOON + timedelta(seconds=61)
    )
    assert "I2" in {breach.invariant for breach in later.breaches}
