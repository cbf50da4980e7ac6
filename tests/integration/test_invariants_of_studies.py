"""What the checkup says of a study while its scheduler is at work."""

import sqlalchemy as sa

from tests.stand import Stand
from tuner.db import Database, trials
from tuner.executors.inline import InlineExecutor
from tuner.invariants.breach import Breach
from tuner.invariants.studies import check_study
from tuner.settings import Settings
from tuner.states import LIVE_JOBS
from tuner.store import replay


def test_the_study_of_a_scheduler_at_work_says_what_the_rows_say(
    database: Database, settings: Settings
) -> None:
    with Stand(database, settings, InlineExecutor()) as stand:
        job = stand.submit(
            space={"batch_size": {"ordered": [16, 32, 64, 128]}},
            constraints=["lr * batch_size < 2"],
            budget={"trials": 30, "epochs": 4},
            search={"seed": 1, "pruner": "asha"},
        )
        stand.until(lambda: stand.job(job)["completed"] >= 3)
        stand.request(job, "pause")
        stand.until(lambda: stand.job(job)["state"] == "paused" and stand.loop.idle)
        stand.until(lambda: stand.loop.idle and not stand.loop.state.jobs[job.id].asking)
        study = stand.loop.studies._studies[job.id]

        def found() -> list[Breach]:
            with database.reading() as connection:
                (row,) = replay.jobs_in(connection, LIVE_JOBS)
                return list(check_study(connection, row, "val_accuracy", study))

        assert len(study.trials()) >= 3
        assert found() == []
        with database.writing() as connection:
            connection.execute(sa.update(trials).where(trials.c.number == 0).values(value=0.125))
        assert [(b.invariant, b.trial) for b in found()] == [("I11", 0)]
