"""Each guard earns its place: without it, tests that are green turn red.

`python -m tests.faults.guards [NAME…]` removes one guard after the other, in a copy of the
source, and runs the tests that are there for it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: What tests need of the source tree.
COPIED: Final = ("app", "models", "tests", "tuner", "examples", "pyproject.toml")
LONGEST_S: Final = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A few words of the source that keep something from happening."""

    name: str
    file: str
    #: There exactly once; `without` is what takes its place.
    text: str
    without: str
    #: pytest's names of those that turn red, all of them, without it.
    tests: tuple[str, ...]


LEDGER: Final = "tests/integration/test_ledger.py"
CORE: Final = "tests/unit/scheduler/test_core.py"
LEADERSHIP: Final = "tests/integration/test_leadership.py"

GUARDS: Final = (
    Guard(
        name="the states in the WHERE of every transition",
        file="tuner/store/statements.py",
        text='table.c.id == sa.bindparam("key"), table.c.state.in_(sorted(allowed))',
        without='table.c.id == sa.bindparam("key")',
        tests=(
            f"{LEDGER}::test_a_trial_moves_as_its_table_says_and_not_otherwise[sqlite]",
            f"{LEDGER}::test_an_attempt_ends_once[sqlite]",
            f"{LEDGER}::test_a_job_moves_as_its_table_says_and_changes_only_while_it_lives[sqlite]",
            f"{LEDGER}::test_only_a_job_that_ended_by_itself_is_opened_again[sqlite-cancelled]",
        ),
    ),
    Guard(
        name="the look at how many rows a transition changed",
        file="tuner/store/statements.py",
        text="if connection.execute(statement, parameters).rowcount != 1:",
        without="if connection.execute(statement, parameters).rowcount > 1:",
        tests=(f"{LEDGER}::test_an_attempt_ends_once[sqlite]",),
    ),
    Guard(
        name="the states in the WHERE of a deletion",
        file="tuner/store/ledger_jobs.py",
        text="sa.delete(jobs).where(jobs.c.id == job, jobs.c.state.in_(final))",
        without="sa.delete(jobs).where(jobs.c.id == job)",
        tests=(f"{LEDGER}::test_a_job_that_lives_is_not_deleted[sqlite-running]",),
    ),
    Guard(
        name="a request is answered once",
        file="tuner/store/ledger.py",
        text=".where(requests.c.id == request, requests.c.applied_at.is_(None))",
        without=".where(requests.c.id == request)",
        tests=(f"{LEDGER}::test_the_first_answer_to_a_request_stays[sqlite]",),
    ),
    Guard(
        name="the epoch of a leader's transactions",
        file="tuner/leader/leadership.py",
        text="if not store.hold(connection, self.epoch):",
        without="if False:",
        tests=(f"{LEADERSHIP}::test_a_transaction_of_a_former_leader_leaves_nothing[sqlite]",),
    ),
    Guard(
        name="the epoch in the WHERE of a look at the leader's row",
        file="tuner/store/leadership.py",
        text="kept = sa.select(leadership.c.epoch, limit).where(_OF_EPOCH)",
        without="kept = sa.select(leadership.c.epoch, limit)",
        tests=(f"{LEADERSHIP}::test_a_transaction_of_a_former_leader_leaves_nothing[postgres]",),
    ),
    Guard(
        name="the epoch in the WHERE of a renewal",
        file="tuner/store/leadership.py",
        text="sa.update(leadership).where(_OF_EPOCH).values(**_LEASED)",
        without="sa.update(leadership).values(**_LEASED)",
        tests=(f"{LEADERSHIP}::test_a_silent_leader_is_followed_after_its_lease_and_cannot_renew",),
    ),
    Guard(
        name="one idempotency key, one job",
        file="tuner/migrations/versions/0001_jobs_trials_attempts.py",
        text='        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),\n',
        without="",
        tests=(
            "tests/integration/test_store.py::TestSqliteStore::"
            "test_no_two_jobs_have_one_idempotency_key",
        ),
    ),
    Guard(
        name="the checksum of checkpoints and networks",
        file="models/seal.py",
        text="if digest.hexdigest().encode() != header[place : place + 64]:",
        without="if False:",
        tests=("tests/unit/models/test_files.py::test_any_flipped_byte_is_noticed",),
    ),
    Guard(
        name="a file is written beside its place, and moved there",
        file="models/files.py",
        text="with _temporary_beside(path) as temporary:\n        yield temporary\n"
        "        move_whole(temporary, path)",
        without="yield path",
        tests=(
            "tests/unit/models/test_files.py::"
            "test_a_write_that_fails_leaves_the_old_file_and_nothing_else",
        ),
    ),
    Guard(
        name="a worker speaks for its own attempts alone",
        file="tuner/executors/local.py",
        text="if not isinstance(message, FromWorker) or message.attempt not in worker.orders:",
        without="if not isinstance(message, FromWorker):",
        tests=(
            "tests/faults/test_local_executor_faults.py::"
            "test_a_worker_cannot_speak_for_anothers_attempt",
        ),
    ),
    Guard(
        name="a late word on an attempt that is over",
        file="tuner/scheduler/settlement.py",
        text="attempt = turn.state.attempts.get(event.attempt)\n    if attempt is None:",
        without="attempt = turn.state.attempts[event.attempt]\n    if attempt is None:",
        tests=(f"{CORE}::test_a_late_word_of_a_lost_worker_changes_nothing",),
    ),
    Guard(
        name="no more trials than the budget",
        file="tuner/scheduler/state.py",
        text="and self.tally.created + self.asking < self.budget.trials",
        without="and True",
        tests=(f"{CORE}::test_a_budget_is_used_exactly",),
    ),
    Guard(
        name="no more trials at once than asked for",
        file="tuner/scheduler/placement.py",
        text="and (job.parallel is None or at_once < job.parallel)",
        without="and True",
        tests=(f"{CORE}::test_no_more_trials_run_at_once_than_parallel_allows",),
    ),
    Guard(
        name="at most three attempts that count",
        file="tuner/scheduler/retry.py",
        text="one_more = counted_so_far + 1 < MAX_COUNTED_ATTEMPTS",
        without="one_more = True",
        tests=(f"{CORE}::test_a_trial_that_always_loses_its_worker_fails_after_three_attempts",),
    ),
    Guard(
        name="a result is a finite number",
        file="tuner/scheduler/settlement.py",
        text="if not math.isfinite(event.value):",
        without="if False:",
        tests=(f"{CORE}::test_a_result_that_is_no_finite_number_fails_its_trial",),
    ),
    Guard(
        name="times move with a clock that is set",
        file="tuner/scheduler/core.py",
        text="move_times(turn, event.by)",
        without="pass",
        tests=(
            "tests/unit/scheduler/test_clocks.py::"
            "test_a_clock_that_is_set_ends_nothing_and_makes_nothing_wait",
        ),
    ),
    Guard(
        name="a study hears the first word on a trial alone",
        file="tuner/search/study.py",
        text="self._study.tell(number, told, ended, skip_if_finished=True)",
        without="self._study.tell(number, told, ended)",
        tests=("tests/unit/test_study.py::test_a_second_word_on_a_finished_trial_changes_nothing",),
    ),
)


def take_away(guard: Guard, root: Path) -> None:
    """Remove the guard from the source below `root`.

    Raises:
        ValueError: its text is not there, or more than once.
    """
    file = root / guard.file
    source = file.read_text()
    if (found := source.count(guard.text)) != 1:
        raise ValueError(
            f"Guard {guard.name!r}: its text is {found} times in {guard.file}; once is right."
        )
    file.write_text(source.replace(guard.text, guard.without))


def copy_source(target: Path) -> None:
    """Copy what the tests need to `target`."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy(source, target / name)


def outcomes(root: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code for these tests on the source below `root`, and what it said."""
    options = ["-q", "--tb=line", "-rfE", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def verdict(guard: Guard) -> str:
    """Whether all its tests fail without the guard: empty, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="tuner-guards-") as folder:
        copy_source(Path(folder))
        take_away(guard, Path(folder))
        code, said = outcomes(Path(folder), guard.tests)
    red = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", said, flags=re.MULTILINE))
    green = [test for test in guard.tests if not any(name.startswith(test) for name in red)]
    if code != 1:
        return f"pytest ended with {code}:\n{said[-2000:]}"
    return f"green without it: {', '.join(green)}" if green else ""


def main(names: Sequence[str]) -> int:
    """Take away the guards whose names hold one of `names`, by default all."""
    chosen = [g for g in GUARDS if not names or any(name in g.name for name in names)]
    tests = sorted({test for guard in chosen for test in guard.tests})
    code, said = outcomes(ROOT, tests)
    if code:
        print(f"With every guard in place the tests are not green:\n{said[-4000:]}")
        return 1
    failed = 0
    for guard in chosen:
        fault = verdict(guard)
        failed += bool(fault)
        print(f"{'GREEN' if fault else 'red':6} {guard.name} ({guard.file})", flush=True)
        if fault:
            print(f"       {fault}")
    print(f"{len(chosen) - failed} of {len(chosen)} guards are missed when they are gone.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
