"""The guards that `tests.faults.guards` takes away, and the tests that turn red without each."""

from dataclasses import dataclass
from typing import Final


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
LANES: Final = "tests/unit/scheduler/test_lanes.py"
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
    Guard(
        name="a trial joins only a worker of its job",
        file="tuner/scheduler/placement.py",
        text="for attempt in state.attempts_of(job.id):\n        crews",
        without="for attempt in state.attempts.values():\n        crews",
        tests=(f"{LANES}::test_a_trial_joins_no_worker_of_another_job",),
    ),
    Guard(
        name="a trial joins only a worker of its signature",
        file="tuner/scheduler/placement.py",
        text="((t, inviting[t.joins]) for t in _due(job, now) if t.joins in inviting)",
        without="((t, a) for t in _due(job, now) for a in inviting.values())",
        tests=(f"{LANES}::test_trials_of_one_signature_share_a_worker_and_its_slot",),
    ),
    Guard(
        name="no more trials in a worker than it has lanes",
        file="tuner/scheduler/placement.py",
        text="if len(crew) < crew[0].lanes <= job.lanes",
        without="if crew[0].lanes <= job.lanes",
        tests=(
            f"{LANES}::test_trials_of_one_signature_share_a_worker_and_its_slot",
            f"{LANES}::test_no_more_are_asked_for_than_lanes_are_free",
        ),
    ),
    Guard(
        name="one attempt of a worker in lanes answers for its slot",
        file="tuner/scheduler/placement.py",
        text="slot_since=now if beside is None else None",
        without="slot_since=now",
        tests=(f"{LANES}::test_the_slot_counts_once_however_many_share_it",),
    ),
    Guard(
        name="a trial in a lane whose worker is killed for a neighbour goes back uncounted",
        file="tuner/scheduler/endings.py",
        text="if neighbour.stopping is None:",
        without="if False:",
        tests=(
            f"{LANES}::test_no_progress_of_one_ends_the_worker_and_the_other_goes_on_"
            "from_its_checkpoint",
        ),
    ),
    Guard(
        name="a trial that was lost with its worker goes in no lane again",
        file="tuner/scheduler/state.py",
        text="return None if self.counted or self.halvings else self.signature",
        without="return self.signature",
        tests=(f"{LANES}::test_a_worker_that_is_lost_loses_all_and_each_goes_on_alone",),
    ),
)
