"""The studies of all live jobs, asked on threads of their own so that a slow one stops nobody."""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Final

from tuner.protocol import Noted, Suggest
from tuner.scheduler.commands import Ask, Tell
from tuner.scheduler.events import AskFailed, Drawn, Exhausted, Proposed
from tuner.search.answers import PruneDecision, Remarks
from tuner.search.grid import SpaceExhausted
from tuner.search.objective_study import ObjectiveStudy
from tuner.search.study import JobStudy

SWITCH_S: Final = 0.0005
Answer = Proposed | Exhausted | AskFailed | Drawn


class Studies:
    """Holds a study per live job. One thread calls it; only `ask` goes on elsewhere."""

    def __init__(self, wake: Callable[[], None], *, threads: int = 4) -> None:
        self._studies: dict[int, JobStudy] = {}
        self._attrs: dict[tuple[int, int], Mapping[str, Any]] = {}
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._wake = wake
        # A sampler at work holds the interpreter for so long each time the loop wants it back: at
        # the default of 5 ms, workers wait for verdicts and trials behind a sampler's arithmetic.
        sys.setswitchinterval(SWITCH_S)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ask")

    def add(self, job: int, study: JobStudy) -> None:
        """Hold the study of a job that became live."""
        self._studies[job] = study

    def forget(self, job: int) -> None:
        """Let go of the study of a final job."""
        self._studies.pop(job, None)
        for key in [key for key in self._attrs if key[0] == job]:
            del self._attrs[key]

    def ask(self, order: Ask) -> None:
        """Have the study propose the job's next trial; the answer comes through `answers`."""
        if (study := self._studies.get(order.job)) is not None:
            self._pool.submit(self._ask, study, order)

    def _ask(self, study: JobStudy, order: Ask) -> None:
        self._answers.put(_answer(study, order))
        self._wake()

    def suggest(self, job: int, number: int, question: Suggest) -> None:
        """Have the study say what a parameter is to be; the answer comes through `answers`."""
        study = self._studies.get(job)
        if isinstance(study, ObjectiveStudy):
            self._pool.submit(self._suggest, study, job, number, question)

    def _suggest(self, study: ObjectiveStudy, job: int, number: int, question: Suggest) -> None:
        self._answers.put(_drawn(study, job, number, question))
        self._wake()

    def note(self, job: int, number: int, noted: Noted) -> Remarks:
        """Keep what an objective notes of its trial."""
        return self._studies[job].note(number, noted.user_attrs, noted.constraints)

    def answers(self) -> Iterator[Answer]:
        """All answers that have come since the last call."""
        while True:
            try:
                yield self._answers.get_nowait()
            except Empty:
                return

    def judge(
        self, job: int, number: int, step: int, value: float
    ) -> tuple[PruneDecision, Mapping[str, Any] | None]:
        """Report a step; whether to prune, and the pruner's notes on the trial if they changed."""
        study = self._studies[job]
        study.report(number, step, value)
        decision = study.should_prune(number, step)
        notes = study.attrs(number)
        if self._attrs.get((job, number)) == notes:
            return decision, None
        self._attrs[job, number] = notes
        return decision, notes

    def tell(self, order: Tell) -> None:
        """Tell the study how a trial ended."""
        if (study := self._studies.get(order.job)) is not None:
            study.tell(
                order.number,
                order.state,
                order.value,
                values=order.values,
                infeasible=order.infeasible,
            )
            self._attrs.pop((order.job, order.number), None)

    def close(self) -> None:
        """Wait for no more answers."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _answer(study: JobStudy, order: Ask) -> Answer:
    """What the study says; whatever a sampler raises ends its job, and nothing else."""
    try:
        proposal = study.ask(
            order.point.params if order.point else None, many_at_once=order.many_at_once
        )
    except SpaceExhausted:
        return Exhausted(job=order.job)
    except Exception as error:  # a third party's sampler is a door like a trial
        last = traceback.format_exception_only(error)[-1].strip()
        return AskFailed(job=order.job, detail=last)
    return Proposed(
        job=order.job,
        number=proposal.number,
        params=proposal.params,
        system_attrs=proposal.system_attrs,
        study_attrs=proposal.study_attrs,
        how=proposal.how,
    )


def _drawn(study: ObjectiveStudy, job: int, number: int, question: Suggest) -> Drawn:
    """What the parameter is to be; whatever is raised is the objective's to hear."""
    try:
        suggestion = study.suggest(number, question.name, question.distribution)
    except Exception as error:  # a third party's sampler, and a stranger's distribution
        last = traceback.format_exception_only(error)[-1].strip()
        return Drawn(job=job, attempt=question.attempt, name=question.name, error=last)
    return Drawn(
        job=job,
        attempt=question.attempt,
        name=question.name,
        value=suggestion.value,
        params=suggestion.params,
        distributions=suggestion.distributions,
        system_attrs=suggestion.system_attrs,
        study_attrs=suggestion.study_attrs,
    )
