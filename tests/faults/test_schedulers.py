"""Several schedulers on one database: one leads, whoever is killed, stopped or continued."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.factories import StoredJob
from tests.faults.counting import Count, Counts
from tests.schedulers import Schedulers, assert_gone, schedulers
from tuner.db import Database

pytestmark = pytest.mark.timeout(3600)

Rounds = Callable[[int, int], int]
TRIALS = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the schedulers of a test have their files."""
    return tmp_path / "home"


def leader_at_work(team: Schedulers, job: StoredJob, reports: int) -> int:
    """Who leads, once so many steps of the job are recorded."""
    team.until(lambda: team.reports(job) >= reports)
    leader: int = team.until(lambda: team.leader)
    return leader


def follower_of(team: Schedulers, former: int, count: Count) -> int:
    """Who leads, once it is another."""
    began = time.monotonic()
    leader: int = team.until(lambda: team.leader != former and team.leader)
    count.took("the next leads after", time.monotonic() - began)
    return leader


def finish(team: Schedulers, job: StoredJob, count: Count, *, injected: int) -> None:
    """The job ends as if nothing had happened; no trial was worked on by two at once."""
    team.finish(job)
    doubled = len(team.doubled(job))
    count.add(injected, trials=team.job(job)["completed"], doubled=doubled)
    assert doubled == 0


def test_killed_leaders_are_followed_and_no_trial_is_lost_or_doubled(
    database: Database, folder: Path, rounds: Rounds, counted: Counts
) -> None:
    with counted("leaders of 2 to 4 schedulers killed", database) as count:
        for number in range(rounds(1, 50)):
            chance = random.Random(number)
            with schedulers(database, folder, count=2 + number % 3) as team:
                job = team.submit(TRIALS, seed=number)
                for goal in (chance.randrange(20), chance.randrange(20, 40)):
                    leader = leader_at_work(team, job, goal)
                    team.send(leader, signal.SIGKILL)
                    follower_of(team, leader, count)
                    team.start()
                finish(team, job, count, injected=2)


def test_leaders_told_to_stop_are_followed(
    database: Database, folder: Path, rounds: Rounds, counted: Counts
) -> None:
    with counted("leaders of 2 to 4 schedulers told to stop", database) as count:
        for number in range(rounds(1, 50)):
            with schedulers(database, folder, count=2 + number % 3) as team:
                job = team.submit(TRIALS, seed=number)
                leader = leader_at_work(team, job, random.Random(number).randrange(30))
                team.send(leader, signal.SIGTERM)
                assert team.ended(leader) == 0
                follower_of(team, leader, count)
                finish(team, job, count, injected=1)


def test_workers_of_a_killed_scheduler_end_by_themselves(
    database: Database, folder: Path, rounds: Rounds, counted: Counts
) -> None:
    with (
        counted("schedulers killed amid the work of their workers", database) as count,
        schedulers(database, folder, count=1, executor="local") as team,
    ):
        kills = rounds(1, 100)
        job = team.submit(TRIALS * kills)
        for kill in range(kills):
            leader = leader_at_work(team, job, kill * TRIALS + 3)
            family = team.family(leader)
            assert len(family) >= 2  # the fork server, and a worker
            team.send(leader, signal.SIGKILL)
            assert_gone(family)
            count.add(1, processes_that_ended=len(family))
            team.start()
        finish(team, job, count, injected=0)


@pytest.mark.postgres
def test_a_leader_stopped_and_continued_changes_nothing_and_steps_down(
    postgres_database: Database, folder: Path, rounds: Rounds, counted: Counts
) -> None:
    fault = "leaders stopped, continued after their job's end"
    with counted(fault, postgres_database) as count:
        for number in range(rounds(1, 50)):
            with schedulers(postgres_database, folder, count=2, executor="local") as team:
                job = team.submit(TRIALS, seed=number)
                leader = leader_at_work(team, job, random.Random(number).randrange(30))
                family = team.family(leader)
                team.send(leader, signal.SIGSTOP)
                follower_of(team, leader, count)
                finish(team, job, count, injected=1)
                rows = team.rows()
                team.send(leader, signal.SIGCONT)
                assert team.ended(leader) == 1
                assert "Another scheduler leads on postgresql:" in team.said()
                assert_gone(family)
                assert team.rows() == rows


@pytest.mark.postgres
def test_a_leader_continued_while_another_leads_disturbs_nothing(
    postgres_database: Database, folder: Path, rounds: Rounds, counted: Counts
) -> None:
    fault = "leaders stopped, continued while another leads"
    with counted(fault, postgres_database) as count:
        for number in range(rounds(1, 50)):
            with schedulers(postgres_database, folder, count=2 + number % 3) as team:
                job = team.submit(TRIALS, seed=number)
                leader = leader_at_work(team, job, random.Random(number).randrange(30))
                team.send(leader, signal.SIGSTOP)
                follower_of(team, leader, count)
                team.send(leader, signal.SIGCONT)
                assert team.ended(leader) == 1
                finish(team, job, count, injected=1)


def test_a_leader_on_sqlite_that_is_stopped_leads_on_when_it_is_continued(
    sqlite_database: Database, folder: Path, rounds: Rounds, counted: Counts
) -> None:
    fault = "leaders stopped and continued, which lead on"
    with counted(fault, sqlite_database) as count:
        for number in range(rounds(1, 50)):
            with schedulers(sqlite_database, folder, count=2) as team:
                job = team.submit(TRIALS, seed=number)
                leader = leader_at_work(team, job, random.Random(number).randrange(30))
                team.until(lambda team=team: "standing by" in team.said())
                led = team.led_by()
                team.send(leader, signal.SIGSTOP)
                assert team.led_by() == led
                team.send(leader, signal.SIGCONT)
                finish(team, job, count, injected=1)
                assert team.led_by() == led
