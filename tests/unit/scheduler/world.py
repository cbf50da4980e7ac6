"""A world for the scheduler's core: a clock to turn, a study that counts, workers that obey.

It keeps its own books from the records alone, checks every transition against the tables, and
asserts the invariants after every step.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tuner.protocol import Ended, Progressed, Saved, StopAttempt, Suggested, Verdict, WorkerEnded
from tuner.scheduler import commands as c
from tuner.scheduler import events as e
from tuner.scheduler.core import step
from tuner.scheduler.retry import policy
from tuner.scheduler.state import Attempt, JobRun, Place, Point, Probe, QueuedTrial, State
from tuner.slots import Device, Inventory, Request, take
from tuner.spec import Budget
from tuner.states import (
    ATTEMPT_NEXT,
    EXTENDABLE,
    JOB_NEXT,
    LIVE_JOBS,
    TRIAL_NEXT,
    AttemptState,
    Direction,
    JobState,
    Reason,
    TrialState,
)

#: The signatures of trials in turns, where workers are shared.
SHAPES = ("wide", "wide", "wide", "narrow", "wide", None)
#: Trial 0 by the ranges that probes find here.
FOUND = {"lr": 0.3}
START = datetime(2026, 1, 1, tzinfo=UTC)


def make_inventory(cpus: float = 2, gpus: int = 0) -> Inventory:
    """A host with idle devices."""
    cpu = Device(name="cpu", kind="cpu", capacity=cpus, free=cpus, memory_mb=8000)
    cards = tuple(
        Device(name=f"cuda:{i}", kind="cuda", capacity=1, free=1, memory_mb=8000)
        for i in range(gpus)
    )
    return Inventory(host="here", devices=(cpu, *cards))


def make_job(number: int = 1, *, trials: int = 5, **overrides: Any) -> JobRun:
    """A queued job that has a default point and needs one core a trial."""
    budget = overrides.pop("budget", Budget(trials=trials, epochs=3))
    fields: dict[str, Any] = {
        "id": number,
        "ulid": f"job_{number}",
        "state": JobState.QUEUED,
        "priority": 0,
        "parallel": None,
        "budget": budget,
        "labels": {},
        "revision": 1,
        "request": Request(),
        "metric": "val_accuracy",
        "direction": Direction.MAXIMIZE,
        "trial_seconds": None,
        "no_progress_seconds": 1800.0,
        "points": (Point(params={"lr": 0.1}, source="default"),),
    }
    return JobRun(**(fields | overrides))


class World:
    """Everything around the core; `tell` feeds an event and carries the commands out."""

    def __init__(self, *, cpus: float = 2, gpus: int = 0) -> None:
        self.now = START
        self.state = State(inventory=make_inventory(cpus, gpus))
        self.capacity = self.state.inventory
        self.jobs: dict[int, JobState] = {}
        self.lanes: dict[int, int] = {}
        self.trials: dict[tuple[int, int], TrialState] = {}
        self.values: dict[tuple[int, int], float] = {}
        #: Trials of several metrics, of which none is the best.
        self.several: set[tuple[int, int]] = set()
        self.of_trial: dict[int, tuple[int, int]] = {}
        self.attempts: dict[int, AttemptState] = {}
        self.ends: dict[int, c.EndAttempt] = {}
        self.owners: dict[int, tuple[int, int | None]] = {}
        self.asked: dict[int, c.Ask] = {}
        self.workers: set[int] = set()
        self.stops: dict[int, StopAttempt] = {}
        self.suggested: list[Suggested] = []
        #: What was noted of each trial, by its number.
        self.remarks: dict[int, Mapping[str, Any]] = {}
        self.verdicts: list[tuple[int, int, Verdict]] = []
        self.events: list[tuple[int, str, int | None]] = []
        self.answers: dict[int, Any] = {}
        self.told: list[c.Tell] = []
        self.swept: list[int] = []
        self.forgotten: list[int] = []
        self.reasons: dict[int, tuple[str | None, str | None]] = {}
        #: The plans that probes amended, by job.
        self.plans: dict[int, Mapping[str, Any]] = {}
        self.progress: list[tuple[int, Place]] = []
        #: Where each trial goes on from, by its number.
        self.checkpoints: dict[int, str | None] = {}
        self._requests = 0
        # What a database would hold beside these.
        self._job_rows: dict[int, JobRun] = {}
        self._trial_rows: dict[int, QueuedTrial] = {}
        self._sources: dict[int, list[str]] = {}
        self._attempt_rows: dict[int, Attempt] = {}
        self._waiting: dict[int, e.Verb] = {}

    # --- what happens

    def submit(self, job: JobRun) -> None:
        self.jobs[job.id] = job.state
        self.lanes[job.id] = job.lanes
        self._job_rows[job.id] = job
        self._sources.setdefault(job.id, [])
        self.tell(e.Submitted(job=job))

    def pass_time(self, **amount: float) -> None:
        self.now += timedelta(**amount)
        self.tell(e.Tick())

    def set_clock(self, **by: float) -> None:
        """Somebody sets the clock, and no time passes."""
        self.now += timedelta(**by)
        self.tell(e.ClockSet(by=timedelta(**by)))

    def propose(self, job: int = 1) -> int:
        """The study answers what it was asked."""
        ask = self.asked.pop(job)
        params = ask.point.params if ask.point else {"lr": 0.001 * ask.number}
        shape = SHAPES[ask.number % len(SHAPES)]
        self.tell(
            e.Proposed(
                job=job,
                number=ask.number,
                params=params,
                system_attrs={},
                signature=shape if self.lanes[job] > 1 else None,
                alone="a shape of its own" if self.lanes[job] > 1 and shape is None else None,
            )
        )
        return ask.number

    def propose_all(self) -> None:
        while self.asked:
            self.propose(next(iter(self.asked)))

    def pass_probe(self, job: int = 1, **facts: Any) -> None:
        attempt = next(a for a, owner in self.running().items() if owner == (job, None))
        self.end(attempt, AttemptState.SUCCEEDED, value=0.0, facts=facts)

    def begin(self, job: JobRun) -> None:
        """Submit a job and bring it to the point where its trials run."""
        self.submit(job)
        self.pass_probe(job.id)
        self.propose_all()

    def report(self, attempt: int, step: int, value: float, *, prune: bool = False) -> None:
        metrics = {"val_accuracy": value}
        self.tell(e.Measured(attempt=attempt, step=step, metrics=metrics, value=value, prune=prune))

    def draw(self, attempt: int, *, error: str | None = None, **params: Any) -> None:
        """The study answers an objective's question for the last of these parameters."""
        name = [*params, "x"][-1] if error else list(params)[-1]
        self.tell(
            e.Drawn(
                job=self.owners[attempt][0],
                attempt=attempt,
                name=name,
                value=params.get(name),
                error=error,
                params=params,
            )
        )

    def progress_to(self, attempt: int, step: int, done: int) -> None:
        """The worker says that it is `done` of 100 parts of the way to `step`."""
        self.tell(Progressed(attempt=attempt, step=step, done=done, total=100, metrics={}))

    def end(self, attempt: int, state: AttemptState, **facts: Any) -> None:
        """The worker's last word."""
        self.workers.discard(attempt)
        self.tell(self._ranged(Ended(attempt=attempt, state=state, **facts)))

    def _ranged(self, ended: Ended) -> Ended | e.Ranged:
        """A probe that passes has found the ranges that it was to find."""
        job, number = self.owners[ended.attempt]
        passed = number is None and ended.state is AttemptState.SUCCEEDED
        if not passed or not self._job_rows[job].unknown:
            return ended
        return e.Ranged(ended=ended, plan={"by": ended.attempt}, default=FOUND)

    def complete(self, attempt: int, value: float) -> None:
        self.end(attempt, AttemptState.SUCCEEDED, value=value)

    def lose(self, attempt: int, reason: Reason = Reason.WORKER_LOST) -> None:
        """Its worker is gone, and so are all attempts it served."""
        crew = self.crew(attempt)
        self.workers -= {*crew}
        self.tell(WorkerEnded(attempts=crew, exit_code=-9, detail="gone", reason=reason))

    def crew(self, attempt: int) -> tuple[int, ...]:
        """The attempts that run in the same worker, this one included."""
        worker = self._attempt_rows[attempt].worker
        return tuple(a for a in self.running() if self._attempt_rows[a].worker == worker)

    def obey_stops(self) -> None:
        """Every worker that was told to stop ends as it was told."""
        for attempt, message in list(self.stops.items()):
            if attempt in self.workers:
                preempted = message.reason == "preempted"
                state = AttemptState.PREEMPTED if preempted else AttemptState.CANCELLED
                self.end(attempt, state, reason=message.reason)

    def request(self, kind: type[Any], job: int = 1, **fields: Any) -> Any:
        """Somebody asks for something; what they are answered, None while it waits."""
        self._requests += 1
        self._waiting[self._requests] = kind(job=job, request=self._requests, **fields)
        self.tell(self._waiting[self._requests])
        return self.answers.get(self._requests)

    def save(self, attempt: int, step: int, *, best: bool = False) -> None:
        """The worker has written a checkpoint, or its best network."""
        self.tell(Saved(attempt=attempt, step=step, uri=f"{step}", size_bytes=1, best=best))

    def extend(self, job: int, trials: int) -> None:
        """Somebody gives a finished job a larger budget, which queues it again."""
        assert self.jobs[job] in EXTENDABLE
        row = self._job_rows[job]
        budget = row.budget.model_copy(update={"trials": row.tally.created + trials})
        self._job_rows[job] = replace(row, state=JobState.QUEUED, budget=budget)
        self.submit(self._taken_up(job))

    def restart(self, *, silent_s: float = 0.0) -> None:
        """Scheduler and workers are killed, and another starts from what was recorded.

        The last beat was so many seconds ago.
        """
        self.workers.clear()
        self.stops.clear()
        self.asked.clear()
        self.state = self._recorded()
        last_beat = self.now - timedelta(seconds=silent_s)
        if self.state.attempts:
            lost = tuple(self.state.attempts)
            self.tell(e.SchedulerLost(attempts=lost, last_beat=last_beat))
        for job, state in self.jobs.items():
            if state is JobState.QUEUED:
                self.tell(e.Submitted(job=self._taken_up(job)))
        for request, verb in list(self._waiting.items()):
            if request not in self.answers and verb.job in self.state.jobs:
                self.tell(verb)
        self.tell(e.Tick())

    def _recorded(self) -> State:
        """What a new scheduler begins with."""
        begun = [job for job, state in self.jobs.items() if state in LIVE_JOBS - {JobState.QUEUED}]
        attempts, inventory = {}, self.capacity
        for number in self.running():
            row = self._attempt_rows[number]
            trial = self._trial_rows[row.trial.id] if row.trial else None
            if row.worker in {other.worker for other in attempts.values()}:
                attempts[number] = replace(row, trial=trial, slot_since=None)
            else:
                attempts[number] = replace(row, trial=trial, slot_since=row.started)
                inventory = take(inventory, row.slot)
        return State(
            inventory=inventory,
            jobs={job: self._taken_up(job) for job in begun},
            attempts=attempts,
            next_trial=max(self._trial_rows, default=0) + 1,
            next_attempt=max(self._attempt_rows, default=0) + 1,
        )

    def _taken_up(self, job: int) -> JobRun:
        """The job as its row tells; all else that was known of it is forgotten."""
        row, points = self._job_rows[job], make_job(job).points
        if job in self.plans:
            points = (Point(params=FOUND, source="default"),)
        tried = [s for s in self._sources[job] if s in ("default", "start")]
        queued = [
            replace(trial, due=None)
            for key, trial in self._trial_rows.items()
            if self.of_trial[key][0] == job and self.trials[self.of_trial[key]] is TrialState.QUEUED
        ]
        ended = [
            self.ends[a] for a, o in self.owners.items() if o == (job, None) and a in self.ends
        ]
        counted = [end.reason for end in ended if end.reason and policy(end.reason, 0).counted]
        return replace(
            row,
            probed=any(end.state is AttemptState.SUCCEEDED for end in ended),
            probe=Probe(attempts=len(ended), counted=len(counted)),
            points=points[len(tried) :],
            asking=False,
            asked_point=None,
            exhausted=False,
            ready=tuple(sorted(queued, key=lambda trial: (trial.attempts == 0, trial.number))),
            failures_alike=0,
            last_failure=None,
            ending="cancelled" if row.state is JobState.CANCELLING else None,
            failed_because=None,
        )

    # --- what one sees

    def running(self) -> dict[int, tuple[int, int | None]]:
        """Attempt → (job, trial number) of all that run."""
        return {a: self.owners[a] for a, s in self.attempts.items() if s is AttemptState.RUNNING}

    def attempt_of(self, number: int, job: int = 1) -> int:
        return next(a for a, owner in self.running().items() if owner == (job, number))

    def trials_in(self, state: TrialState, job: int = 1) -> list[int]:
        return [n for (j, n), s in self.trials.items() if j == job and s is state]

    def kinds(self, job: int = 1) -> list[str]:
        return [kind for j, kind, _ in self.events if j == job]

    # --- carrying out

    def tell(self, event: e.Event) -> None:
        before = self.state
        self.state, commands = step(before, event, self.now)
        for command in commands:
            self._carry_out(command)
        check_invariants(self)
        check_known_again(commands)
        check_amended(commands)

    def _carry_out(self, command: c.Command) -> None:
        match command:
            case c.Ask():
                assert command.job not in self.asked, "one question at a time"
                self.asked[command.job] = command
            case c.Tell():
                self.told.append(command)
            case c.Start():
                self.workers.add(command.attempt.id)
            case c.Send(message=StopAttempt() as message):
                self.stops[message.attempt] = message
            case c.Send(message=Suggested() as message):
                self.suggested.append(message)
            case c.Send(message=message):
                self.verdicts.append((message.attempt, message.step, message.verdict))
            case c.Kill():
                self._kill(command.attempt)
            case c.Forget():
                self.asked.pop(command.job, None)
                self.forgotten.append(command.job)
            case c.Sweep():
                self.swept.append(command.number)
            case _:
                self._record(command)

    def _record(self, command: c.Record) -> None:
        match command:
            case c.MoveJob():
                self._move_job(command)
            case c.CreateTrial():
                key = (command.job, command.trial.number)
                assert key not in self.trials, "a trial is created once"
                self.trials[key] = TrialState.QUEUED
                self.of_trial[command.trial.id] = key
                self._trial_rows[command.trial.id] = command.trial
                self._sources[command.job].append(command.source)
            case c.MoveTrial():
                self._move_trial(command)
            case c.CreateAttempt():
                attempt = command.attempt
                number = attempt.trial.number if attempt.trial else None
                self.attempts[attempt.id] = AttemptState.RUNNING
                self.owners[attempt.id] = (attempt.job, number)
                self._attempt_rows[attempt.id] = attempt
            case c.EndAttempt():
                assert command.state in ATTEMPT_NEXT[self.attempts[command.attempt]]
                self.attempts[command.attempt] = command.state
                self.ends[command.attempt] = command
            case c.RecordEvent():
                self.events.append((command.job, command.kind, command.trial))
            case c.AmendPlan():
                assert command.job not in self.plans, "a plan is amended once"
                assert command.job not in {*self.asked, *(job for job, _ in self.trials)}
                self.plans[command.job] = command.plan
            case c.AnswerRequest():
                assert command.request not in self.answers, "a request is answered once"
                self.answers[command.request] = command.outcome
            case c.RecordProgress():
                assert command.trial in self.of_trial
                self.progress.append((self.of_trial[command.trial][1], command.place))
            case c.RecordParams():
                self._change_trial(command.trial, params=command.params)
            case c.RecordRemarks():
                self.remarks[self.of_trial[command.trial][1]] = command.user_attrs
            case c.RecordStep():
                self._change_trial(command.trial, reported=command.step)
            case c.RecordCheckpoint():
                if not command.best:
                    self.checkpoints[command.number] = command.uri
                    self._change_trial(command.trial, checkpoint=command.uri)

    def _change_trial(self, trial: int, **columns: Any) -> None:
        self._trial_rows[trial] = replace(self._trial_rows[trial], **columns)

    def _move_job(self, command: c.MoveJob) -> None:
        here = self.jobs[command.job.id]
        assert here in LIVE_JOBS, f"job is final ({here})"
        assert command.target is here or command.target in JOB_NEXT[here], (here, command.target)
        self.jobs[command.job.id] = command.target
        self._job_rows[command.job.id] = replace(command.job, state=command.target)
        self.reasons[command.job.id] = (command.reason, command.detail)

    def _move_trial(self, command: c.MoveTrial) -> None:
        key = self.of_trial[command.trial.id]
        assert command.target in TRIAL_NEXT[self.trials[key]], (key, self.trials[key], command)
        self.trials[key] = command.target
        self._trial_rows[command.trial.id] = command.trial
        if command.value is not None:
            self.values[key] = command.value
        if command.values is not None:
            self.several.add(key)

    def _kill(self, attempt: int) -> None:
        """The executor kills at once, and says so with the next event."""
        if attempt in self.running():
            self.workers -= {*self.crew(attempt)}

    def bury_killed(self) -> None:
        """The executor's word on workers that were killed."""
        for attempt in self.running():
            if attempt not in self.workers:
                crew = self.crew(attempt)
                self.tell(WorkerEnded(attempts=crew, exit_code=-9, detail="killed"))


#: What the database refuses to be told a second time.
NOT_TWICE = (c.CreateTrial, c.MoveTrial, c.CreateAttempt, c.EndAttempt)


def check_known_again(commands: Sequence[c.Command]) -> None:
    """What must not be written twice changes a job's row, whose version tells that it stands."""
    if any(isinstance(command, NOT_TWICE) for command in commands):
        marks = [one for one in commands if isinstance(one, c.MoveJob | c.RecordEvent)]
        assert marks, "the ledger knows this again"


def check_amended(commands: Sequence[c.Command]) -> None:
    """A plan is amended in the commit that ends its probe, which has passed, and in no other."""
    amended = [command.plan["by"] for command in commands if isinstance(command, c.AmendPlan)]
    ended = [command for command in commands if isinstance(command, c.EndAttempt)]
    passed = [end.attempt for end in ended if end.state is AttemptState.SUCCEEDED]
    assert {*amended} <= {*passed}


def check_invariants(world: World) -> None:
    """What holds after every step, whatever happened."""
    running = world.running()
    for job in world.state.jobs.values():
        mine = [s for (j, _), s in world.trials.items() if j == job.id]
        tally = job.tally
        assert tally.created == len(mine), "I1: created is the number of trials"
        for state in TrialState:
            assert getattr(tally, state.value) == mine.count(state), f"I1: {state}"
        assert tally.created <= job.budget.trials, "I2: distinct trials within the budget"
        assert job.probed or not (job.unknown and tally.created), "ranges come before trials"
        assert not job.unknown or job.probed is (job.id in world.plans), "the one with the other"
        mine_running = [
            a for a, owner in running.items() if owner[0] == job.id and owner[1] is not None
        ]
        at_once = len([a for a in mine_running if a not in world.stops])
        assert job.parallel is None or at_once <= job.parallel, "I2: no more at once than asked"
        assert len(mine_running) == tally.running, "I4: what is running has an attempt"
        values = [
            world.values[key]
            for key, s in world.trials.items()
            if key[0] == job.id and s is TrialState.COMPLETED and key not in world.several
        ]
        assert job.best_value == (max(values) if values else None), "the best is the best"
    owners = [owner for owner in running.values() if owner[1] is not None]
    assert len(owners) == len(set(owners)), "I3: a trial runs once at a time"
    assert set(world.state.attempts) == set(running), "I9: an ended attempt is forgotten"
    _check_slots(world)
    for job, state in world.jobs.items():
        if state not in LIVE_JOBS:
            assert not any(owner[0] == job for owner in running.values()), "I8"
            assert not [
                s
                for (j, _), s in world.trials.items()
                if j == job and s in (TrialState.QUEUED, TrialState.RUNNING)
            ], "I8: a final job has final trials"


def _check_slots(world: World) -> None:
    held: dict[str, float] = {}
    crews: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in world.state.attempts.values():
        crews[attempt.worker].append(attempt)
    for crew in crews.values():
        (attempt,) = [a for a in crew if a.slot_since is not None]  # one answers for the slot
        assert len(crew) <= attempt.lanes, "no more in a worker than it has lanes"
        assert {a.slot for a in crew} == {attempt.slot}, "all of them are where it is"
        if len(crew) > 1:
            assert len({a.trial.joins if a.trial else None for a in crew}) == 1, "of one signature"
            assert len({a.job for a in crew}) == 1, "and of one job"
        held["cpu"] = held.get("cpu", 0) + attempt.slot.cpus
        for gpu in attempt.slot.gpus:
            held[gpu] = held.get(gpu, 0) + attempt.slot.gpu_share
    for device in world.state.inventory.devices:
        used = held.get(device.name, 0.0)
        assert abs(device.free - (device.capacity - used)) < 1e-6, "I9: slots add up"
        assert device.free > -1e-6, "no device is oversold"


def with_budget(job: JobRun, **budget: Any) -> JobRun:
    """The job with another budget."""
    return replace(job, budget=job.budget.model_copy(update=budget))
