"""What an event means to a job's study: reports are judged, questions asked, proposals grouped."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tuner.leader.grouping import grouping
from tuner.leader.recovery import LiveJob
from tuner.leader.replanning import ranged
from tuner.leader.studies import Answer, Studies
from tuner.protocol import Ended, ExecutorEvent, Noted, Reported, Suggest
from tuner.scheduler.events import Event, Measured, Proposed, Remarked
from tuner.scheduler.state import State


class Examiner:
    """Stands between what executor and studies say and the core, which knows of no study."""

    def __init__(self, studies: Studies, live: Mapping[int, LiveJob]) -> None:
        self._studies = studies
        self._live = live

    def examined(self, event: ExecutorEvent, state: State) -> Iterator[Event]:
        """What its job's study makes of it; a question of an objective's is put to the study."""
        match event:
            case Reported():
                yield self._measured(event, state)
            case Suggest():
                if (trial := self._trial_of(event.attempt, state)) is not None:
                    self._studies.suggest(*trial, event)
            case Noted():
                if (trial := self._trial_of(event.attempt, state)) is not None:
                    told = self._studies.note(*trial, event)
                    yield Remarked(
                        attempt=event.attempt,
                        user_attrs=told.user_attrs,
                        system_attrs=told.system_attrs,
                    )
            case Ended():
                yield ranged(event, state, self._live)
            case _:
                yield event

    def _trial_of(self, number: int, state: State) -> tuple[int, int] | None:
        """The live job and the number of the trial that this attempt is at, if it still is."""
        attempt = state.attempts.get(number)
        if attempt is None or attempt.trial is None or attempt.job not in self._live:
            return None
        return attempt.job, attempt.trial.number

    def _measured(self, event: Reported, state: State) -> Measured:
        """A report as its job's pruner sees it."""
        measured = Measured(
            attempt=event.attempt, step=event.step, metrics=event.metrics, value=None
        )
        trial = self._trial_of(event.attempt, state)
        value = trial and event.metrics.get(self._live[trial[0]].plan.metric)
        if trial is None or value is None:
            return measured
        decision, notes = self._studies.judge(*trial, event.step, value)
        return replace(
            measured, value=value, prune=decision.prune, why=decision.why, system_attrs=notes
        )

    def grouped(self, answer: Answer, state: State) -> Event:
        """A proposal with whom it can share a worker; everything else as it is."""
        live, job = self._live.get(answer.job), state.jobs.get(answer.job)
        if not isinstance(answer, Proposed) or live is None or job is None:
            return answer
        if job.probed and job.lanes == 1:
            return answer  # for good: lanes only become fewer
        group = grouping(live.spec, live.plan, answer.params, on_gpu=live.job.request.gpus > 0)
        return replace(answer, signature=group.signature, alone=group.alone)
