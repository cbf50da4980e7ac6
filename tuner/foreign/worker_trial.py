"""Optuna's own trial in a worker: what it suggests, reports and asks goes to the scheduler.

It belongs to a study of this process with nothing in it but the trial. The study's sampler asks
the scheduler for values, its pruner waits for the scheduler's verdict, and its storage passes on
what the objective reports and notes. All else is Optuna's: what it checks, and what it warns of.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial

from tuner.protocol import Verdict
from tuner.trial import Context

_CONSTRAINT = "constraints:"


class Halted(BaseException):
    """The scheduler asked to stop; no objective's ``except Exception`` is to catch it."""


class WorkerTrial(Trial):
    """What an objective sees of its trial: Optuna's `Trial`, and a folder for checkpoints."""

    @classmethod
    def begin(
        cls,
        context: Context,
        *,
        number: int,
        metric: str,
        directions: Sequence[StudyDirection],
        checkpoint_dir: Path,
    ) -> Self:
        """The trial of this number, for an attempt that begins."""
        storage = _Storage(context, metric)
        study = optuna.create_study(
            storage=storage,
            sampler=_Sampler(storage),
            pruner=_Pruner(context),
            directions=list(directions),
        )
        trial = cls(study, storage.create_new_trial(study._study_id))
        trial._number = number
        trial._checkpoint_dir = checkpoint_dir
        return trial

    @property
    def number(self) -> int:
        """The trial's number in its job."""
        return self._number

    @property
    def checkpoint_dir(self) -> Path:
        """A folder that the trial's next attempt finds again; removed when the trial ends."""
        self._checkpoint_dir.mkdir(parents=True, exist_ok=True)
        return self._checkpoint_dir

    @property
    def last_value(self) -> float | None:
        """The value of the last step that was reported."""
        reported = self._cached_frozen_trial.intermediate_values
        return reported[max(reported)] if reported else None

    _number: int
    _checkpoint_dir: Path


class _Storage(InMemoryStorage):
    """Tells the scheduler what is stored."""

    def __init__(self, context: Context, metric: str) -> None:
        super().__init__()
        self._context = context
        self._metric = metric
        self._asked: set[str] = set()

    def ask(self, name: str, distribution: BaseDistribution) -> Any:
        """What the scheduler wants the parameter to be.

        Raises:
            ValueError: the name stood for something else before.
            Halted: the scheduler asked to stop.
        """
        self._asked.add(name)
        answer = self._context.suggest(name, distribution_to_json(distribution))
        _halt_if_told(self._context)
        if answer.error is not None:
            raise ValueError(answer.error)
        return answer.value

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        if param_name not in self._asked:
            self.ask(param_name, distribution)  # of a single value no sampler is asked
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._context.report(step, {self._metric: intermediate_value})
        self._context.heed()
        _halt_if_told(self._context)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_user_attr(trial_id, key, value)
        self._context.note(user_attrs={key: value})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_system_attr(trial_id, key, value)
        if key.startswith(_CONSTRAINT):
            self._context.note(constraints={key.removeprefix(_CONSTRAINT): value})


class _Sampler(BaseSampler):
    """Asks the scheduler, which has the job's sampler."""

    def __init__(self, storage: _Storage) -> None:
        self._storage = storage

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._storage.ask(param_name, param_distribution)


class _Pruner(BasePruner):
    """Waits for the scheduler's verdict, which has the job's pruner."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        step = trial.last_step
        if step is None:
            return False
        verdict = self._context.verdict(step)
        _halt_if_told(self._context)
        return verdict is Verdict.PRUNE


def _halt_if_told(context: Context) -> None:
    if context.stop_reason is not None:
        raise Halted
