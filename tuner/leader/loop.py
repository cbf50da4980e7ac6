"""The loop around the scheduler's core: hears, decides, records, acts — a tick at a time."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from tuner.artifacts.opening import open_store
from tuner.clock import utc_now
from tuner.db import Database
from tuner.disk import DiskUse
from tuner.errors import StoreUnavailable
from tuner.executors.base import Executor
from tuner.leader.examiner import Examiner
from tuner.leader.housekeeping import Housekeeping
from tuner.leader.inbox import Inbox
from tuner.leader.orders import start_order
from tuner.leader.recording import BackOff, Recorder
from tuner.leader.recovery import LiveJob, give_up, recover
from tuner.leader.replanning import planned_anew
from tuner.leader.studies import Studies
from tuner.protocol import StartAttempt
from tuner.scheduler.commands import (
    AmendPlan,
    Ask,
    Command,
    Forget,
    Kill,
    Order,
    RecordCheckpoint,
    Send,
    Start,
    Sweep,
    Tell,
)
from tuner.scheduler.core import step
from tuner.scheduler.events import (
    ClockSet,
    DiskMeasured,
    Drain,
    Event,
    SchedulerLost,
    Submitted,
    Tick,
)
from tuner.scheduler.state import Attempt
from tuner.search.study import JobStudy
from tuner.settings import Settings
from tuner.states import Direction
from tuner.store import hosts, replay

log = logging.getLogger(__name__)

#: Between two looks at clocks, new jobs and requests.
LOOK_EVERY: Final = timedelta(milliseconds=100)
BEAT_EVERY: Final = timedelta(seconds=2)
#: A smaller difference is a clock being adjusted, which goes on all the time.
CLOCK_SET: Final = timedelta(seconds=1)


class Loop:
    """Owns the state, the studies and the executor; one thread calls it.

    Records are committed together, and before what they announce is done: an attempt is in the
    database before its worker hears of it. Where nothing waits for them, they wait for the next
    look. Only what is said to a worker at work does not wait, so that training goes on while the
    database is away.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        executor: Executor,
        *,
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = time.monotonic,
        order_of: Callable[[Attempt, LiveJob, Settings], StartAttempt] = start_order,
    ) -> None:
        self.database = database
        self.settings = settings
        self.executor = executor
        self.studies = Studies(executor.wake)
        self._clock = clock
        self._steady = steady
        self._between_clocks = self._difference()
        self._order_of = order_of
        self._live: dict[int, LiveJob] = {}
        self._examiner = Examiner(self.studies, self._live)
        store = open_store(settings.artifact_root)
        self._housekeeping = Housekeeping(database, settings, store, clock)
        self._inbox = Inbox(database, self._housekeeping.remove_job)
        self.disk_watch = self._housekeeping.disk_watch
        self._disk: DiskUse | None = None
        self._back_off = BackOff()
        self._recorder = Recorder(database, self._back_off, retire=self._retired)
        self._next_look = self._next_beat = clock()
        with database.reading() as connection:
            recovered = recover(connection, executor.inventory(), clock())
            last_beat = replay.last_beat(connection) or clock()
        give_up(database, recovered.unreadable, clock())
        self.state = recovered.state
        for live, study in recovered.jobs:
            self._hold(live, study)
        if self.state.attempts:
            self._feed(SchedulerLost(attempts=tuple(self.state.attempts), last_beat=last_beat))

    def _hold(self, live: LiveJob, study: JobStudy) -> None:
        self._live[live.job.id] = live
        self.studies.add(live.job.id, study)

    def tick(self, timeout_s: float) -> None:
        """Take in what happened, waiting up to `timeout_s` for it, and do what follows from it."""
        self._notice_a_clock_that_was_set()
        until_look_s = (self._next_look - self._clock()).total_seconds()
        events = self.executor.poll(max(0.0, min(timeout_s, until_look_s)))
        for heard in events:
            self._feed(*self._examiner.examined(heard, self.state))
        for answer in self.studies.answers():
            self._feed(self._examiner.grouped(answer, self.state))
        if self._recorder.urgent:
            self._commit()
        if self._clock() >= self._next_look:
            self._look()
            self._commit()

    def drain(self) -> None:
        """Start nothing any more, and let what runs checkpoint and end."""
        self._feed(Drain())

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits to be recorded."""
        return not (self.state.attempts or self._recorder.pending)

    def close(self) -> None:
        """Let go of the studies, and of the files."""
        self.studies.close()
        self._housekeeping.close()

    # --- the clocks

    def _difference(self) -> timedelta:
        """How far the clock is ahead of the one that nobody can set."""
        return timedelta(seconds=self._clock().timestamp() - self._steady())

    def _notice_a_clock_that_was_set(self) -> None:
        """Let nothing end, and nothing wait, for a time that did not pass."""
        difference = self._difference()
        by = difference - self._between_clocks
        if abs(by) < CLOCK_SET:
            return
        self._between_clocks = difference
        self._next_look += by
        self._next_beat += by
        self._back_off.move(by)
        log.warning("clock was set", extra={"seconds": by.total_seconds()})
        self._feed(ClockSet(by=by))

    # --- looking

    def _look(self) -> None:
        """Look at the clocks; where all is recorded, also at what people want."""
        now = self._clock()
        self._next_look = now + LOOK_EVERY
        self._feed(Tick())
        self._commit()
        if self._recorder.pending or self._back_off.holds(now):
            return  # what we know is ahead of the database, which still shows what was
        try:
            self._look_at_disk()
            for live, study in self._inbox.new_jobs(self.state, now):
                self._hold(live, study)
                self._feed(Submitted(job=live.job))
            for verb in self._inbox.requests(self._live_in_state, now):
                self._feed(verb)
            if now >= self._next_beat:
                self._next_beat = now + BEAT_EVERY
                with self.database.writing() as connection:
                    hosts.beat(connection, self.state.inventory, self._disk, now)
            self._back_off.answered()
        except StoreUnavailable as error:
            self._back_off.failed(now)
            log.warning("database did not answer", extra={"error": str(error)})

    def _live_in_state(self, job: int) -> LiveJob | None:
        return self._live[job] if job in self.state.jobs else None

    def _look_at_disk(self) -> None:
        """Where files take more than they may, give up what no rule of a live job needs."""
        self._housekeeping.look_for_orphans()
        oldest = min((attempt.started for attempt in self.state.attempts.values()), default=None)
        found = self.disk_watch.look(oldest)
        if found is None:
            return
        self._disk = found
        self._feed(DiskMeasured(used=found.artifacts, limit=found.artifacts_limit))
        if found.full:
            with self.database.writing() as connection:
                given_up = replay.give_up_all_but_the_best(connection)
            for job, retired in given_up:
                self._housekeeping.give_up(job, retired)
            if given_up:
                self.disk_watch.again()

    # --- deciding

    def _feed(self, *events: Event) -> None:
        for event in events:
            self.state, commands = step(self.state, event, self._clock())
            self._take(commands)

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Send() if not self._recorder.will_start(command.message.attempt):
                    self.executor.send(command.message)
                case Ask() | Tell() | Start() | Send() | Kill() | Sweep() | Forget():
                    self._recorder.order(command)
                case AmendPlan():
                    self._hold(*planned_anew(self._live[command.job], command.plan))
                    self._recorder.record(command)
                case _:
                    self._recorder.record(command)

    # --- recording and acting

    def _commit(self) -> None:
        """Record everything decided since the last commit, then act on it."""
        while (entry := self._recorder.commit(self._clock())) is not None:
            # First what begins: a worker waits neither for the sampler nor until files are removed.
            for order in sorted(entry.orders, key=lambda order: not isinstance(order, Start)):
                self._carry_out(order)
            for job, given_up in entry.retired:
                self._housekeeping.give_up(job, given_up)
            for record in entry.records:
                if isinstance(record, RecordCheckpoint):
                    self._housekeeping.discard(record)

    def _retired(self, connection: sa.Connection, sweep: Sweep) -> tuple[str, replay.Retired]:
        live = self._live[sweep.job]
        keep, plan = live.spec.keep, live.plan
        if keep.last == "all":
            return live.job.ulid, replay.Retired(trials=[], only=None)
        maximize = plan.direction is Direction.MAXIMIZE
        retired = replay.retire(
            connection, sweep.job, number=sweep.number, best=keep.best, maximize=maximize
        )
        return live.job.ulid, retired

    def _carry_out(self, order: Order) -> None:
        match order:
            case Ask():
                self.studies.ask(order)
            case Tell():
                self.studies.tell(order)
            case Start():
                job = order.attempt.job
                live = replace(self._live[job], job=self.state.jobs[job])
                self.executor.start(self._order_of(order.attempt, live, self.settings))
            case Kill():
                self.executor.kill(order.attempt)
            case Forget():
                self.studies.forget(order.job)
                del self._live[order.job]
            case Send():
                self.executor.send(order.message)
            case Sweep():  # what rows name is swept with the commit
                self._housekeeping.clear(self._live[order.job].job.ulid, order.number)
