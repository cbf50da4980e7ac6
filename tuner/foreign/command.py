"""The program that runs a command as one trial, or probes that it can be started."""

import math
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from models.hyperparameters import Config, Value
from models.importing import PartRefused
from tuner.errors import nearest
from tuner.foreign.arguments import filled
from tuner.foreign.entering import checked_code
from tuner.foreign.process import Process
from tuner.foreign.reports import Report, Reports, ReportsTooLong
from tuner.foreign.surroundings import (
    ProgramMissing,
    copy_writable,
    inherited,
    meeting_place,
    program_path,
    told,
)
from tuner.protocol import Verdict
from tuner.states import Direction, Reason
from tuner.trial import Context, Outcome
from tuner.workers.conduct import reason_in

#: From one look at what is reported, and at what the scheduler says, to the next.
LOOK_S: Final = 0.05
#: Of the end of stderr, told with a failure.
DETAIL_CHARS: Final = 1500
NOT_ALLOWED: Final = (
    "This server runs no commands any more; whoever runs it may set TUNER_ALLOW_COMMANDS=1."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOrder:
    """What the order says."""

    #: The program and its arguments, with ``{name}`` for a value.
    command: tuple[str, ...]
    params: Config
    #: The job's ulid, and the number of the trial in it.
    job: str
    number: int
    seed: int
    #: How many steps a whole trial is expected to report.
    epochs: int
    metric: str
    direction: Direction
    #: The last step that the scheduler has heard of; 0 where it has heard of none.
    reported: int
    #: What the trial keeps for its next attempts.
    folder: Path
    #: The code that the job brings; see `checked_code`.
    code: Mapping[str, Any] | None
    #: From SIGTERM to SIGKILL.
    grace_s: float
    allowed: bool

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "CommandOrder":
        """The order in a payload."""
        return cls(
            command=tuple(payload["command"]),
            params=payload["params"],
            job=payload["job"],
            number=payload["number"],
            seed=payload["seed"],
            epochs=payload["epochs"],
            metric=payload["metric"],
            direction=Direction(payload["directions"][0]),
            reported=payload["reported"],
            folder=Path(payload["folder"]),
            code=payload["code"],
            grace_s=payload["grace_s"],
            allowed=payload["allowed"],
        )

    @property
    def checkpoints(self) -> Path:
        """The folder that the command may fill, and finds again in the trial's next attempt."""
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The file to which the command appends what it reports."""
        return self.folder / "metrics.jsonl"

    def check(self) -> Path | None:
        """The folder of the job's code, read whole and as it is to be; None without.

        Raises:
            PartRefused: this server runs no commands or no such code any more, or it was altered.
        """
        if not self.allowed:
            raise PartRefused(NOT_ALLOWED)
        return None if self.code is None else checked_code(self.code)[0]

    def argv(self, context: Context, folder: Path, environ: Mapping[str, str]) -> list[str]:
        """Program and arguments, ready to be executed in `folder`.

        Raises:
            ProgramMissing: there is no such program.
        """
        facts: dict[str, Value] = {
            "trial": self.number,
            "seed": self.seed,
            "epochs": self.epochs,
            "gpus": context.gpus,
            "cpus": context.threads,
            "checkpoint_dir": str(self.checkpoints),
        }
        program, *arguments = filled(self.command, self.params, facts)
        return [program_path(program, folder, environ["PATH"]), *arguments]

    def environ(self, context: Context) -> dict[str, str]:
        """The command's environment; the worker's own has what is said of devices and threads."""
        facts = {
            "job": self.job,
            "trial": self.number,
            "attempt": context.attempt,
            "seed": self.seed,
            "params": dict(self.params),
            "metrics": str(self.metrics),
            "checkpoint_dir": str(self.checkpoints),
        }
        return inherited(os.environ) | meeting_place() | told(facts)


def probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Look whether the program can be executed where the workers are: what fails here always does.

    The command is not started: what it would do without being a trial nobody knows.
    """
    order = CommandOrder.of(payload)
    try:
        folder = order.check() or context.scratch
        program = order.argv(context, folder, order.environ(context))[0]
    except (PartRefused, ProgramMissing) as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    return Outcome.succeeded(0.0, {"program": program, "device": context.device})


def run(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Run the command to its end; its value is the best one it has reported of the metric.

    What earlier attempts have reported counts, and is not reported again; what the scheduler has
    not heard of it, since it ended in between, is told first. When the command is to end it gets
    SIGTERM and, after the grace, SIGKILL: how it ends then does not matter.
    """
    order = CommandOrder.of(payload)
    order.checkpoints.mkdir(parents=True, exist_ok=True)
    reports = Reports(order.metrics, _say)
    reports.begin()
    trial = _Trial(order, context, reports)
    try:
        outcome = trial.carry_out()
    except (PartRefused, ProgramMissing, ReportsTooLong) as error:
        outcome = Outcome.failed(Reason.USER_ERROR, str(error))
    for why, count in reports.ignored.items():
        _say(f"lines of TUNER_METRICS that are ignored: {count}: {why}")
    return outcome


@dataclass(slots=True)
class _Trial:
    """A trial as its command goes on."""

    order: CommandOrder
    context: Context
    reports: Reports
    best: float | None = None
    best_step: int | None = None
    #: The metrics that were reported.
    names: set[str] = field(default_factory=set)

    def carry_out(self) -> Outcome:
        """Start the command, follow it, and say what came of it.

        Raises:
            PartRefused: the server does not run it any more, or its code was altered.
            ProgramMissing: there is no such program.
            ReportsTooLong: it has reported too much.
        """
        verdict = self._tell()  # of earlier attempts
        if verdict is not Verdict.CONTINUE:
            return self._ended_as_told(verdict)
        process = self._start()
        try:
            verdict = self._follow(process)
            if verdict is not Verdict.CONTINUE and not process.ended_within(0):
                process.ask_to_end()
                process.ended_within(self.order.grace_s)
        finally:
            code = process.end()
        if verdict is not Verdict.CONTINUE:
            return self._ended_as_told(verdict)
        return self._ended_by_itself(code, process.last_words)

    def _start(self) -> Process:
        folder, code = self.context.scratch, self.order.check()
        if code is not None:
            folder /= "code"
            copy_writable(code, folder)
        environ = self.order.environ(self.context)
        argv = self.order.argv(self.context, folder, environ)
        try:
            return Process(argv, folder=folder, environ=environ)
        except OSError as error:
            detail = f"command[0] = {self.order.command[0]!r} cannot be started: {error}."
            raise ProgramMissing(detail) from error

    def _follow(self, process: Process) -> Verdict:
        """What was said while it ran: `CONTINUE` where it has ended without being told to."""
        while True:
            ended = process.ended_within(LOOK_S)
            verdict = self._tell(ended=ended)
            if verdict is Verdict.PRUNE or (verdict is Verdict.STOP and not ended):
                return verdict
            if ended:
                return Verdict.CONTINUE

    def _tell(self, *, ended: bool = False) -> Verdict:
        """Pass on what was reported by now, unless it is to end; what was said by now.

        Of a command that has `ended` all is passed on, though a pause or the like comes too late.
        """
        for report in self.reports.new(ended=ended):
            self._heed(report)
            if 0 < self.order.reported >= report.step:
                continue
            self.context.report(report.step, report.metrics)
            verdict = self.context.verdict(report.step)
            if verdict is Verdict.PRUNE or (verdict is Verdict.STOP and not ended):
                return verdict
        return self.context.heed()

    def _heed(self, report: Report) -> None:
        self.names.update(report.metrics)
        value = report.metrics.get(self.order.metric, math.nan)
        if math.isfinite(value) and self.order.direction.better(value, self.best):
            self.best, self.best_step = value, report.step

    def _ended_as_told(self, verdict: Verdict) -> Outcome:
        if verdict is Verdict.PRUNE:
            return Outcome.pruned(self.best, {"best_step": self.best_step})
        return Outcome.stopped(self.context.stop_reason or Reason.CANCELLED)

    def _ended_by_itself(self, code: int, last_words: str) -> Outcome:
        if code < 0:
            detail = f"The command was ended by signal {-code} ({signal.strsignal(-code)})"
            return Outcome.failed(Reason.CRASHED, _with_words(detail, last_words))
        if code > 0:
            detail = f"The command exited with code {code}"
            return Outcome.failed(reason_in(last_words), _with_words(detail, last_words))
        if self.best is not None:
            return Outcome.succeeded(self.best, {"best_step": self.best_step})
        if self.order.metric in self.names:
            detail = f"No {self.order.metric} that the command reported is a finite number."
            return Outcome.failed(Reason.NAN, detail)
        return Outcome.failed(Reason.NO_RESULT, self._no_result())

    def _no_result(self) -> str:
        metric = self.order.metric
        if self.names:
            known = nearest(metric, sorted(self.names))
            return f"The command ended without a report of {metric}, by which it is judged, {known}"
        return (
            f"The command ended without a report. Have it call tuner.report({metric}=…), or append "
            f'lines such as {{"step": 1, "{metric}": 0.5}} to the file that TUNER_METRICS names.'
        )


def _with_words(detail: str, words: str) -> str:
    """What happened and, of what was said on stderr, the last words and the lines before them."""
    # The first line tells failures apart, and those that are alike: a frame of signs does not.
    said = [line.strip() for line in words.splitlines() if any(map(str.isalnum, line))]
    if not said:
        return f"{detail}, and said nothing on stderr."
    return f"{detail}: {said[-1][:200]}\n{words[-DETAIL_CHARS:]}"


def _say(text: str) -> None:
    """Into the attempt's log, between what the command prints."""
    print(f"tuner: {text}", file=sys.stderr, flush=True)  # noqa: T201
