"""What came out of a job so far: its best trials, all of them, their curves and files."""

from pathlib import Path
from typing import Any

from models.exported.header import read_document
from tuner.artifacts.places import converted_folder, log_root
from tuner.disk import room
from tuner.errors import ArtifactNotFound, Fault, NoCompletedTrial, SpecInvalid
from tuner.foreign.origin import Code
from tuner.foreign.permission import code_order
from tuner.service.card import card_of
from tuner.service.conversion import converted
from tuner.service.front import pareto_front
from tuner.service.pages import check_page_size, place_of, refuse_token, token_of
from tuner.service.part import Part, named
from tuner.service.presentation import (
    attempt_views,
    metric_point,
    metrics_of,
    trial_facts,
    trial_view,
)
from tuner.states import Direction, TrialState
from tuner.store import attempts, trials
from tuner.store.rows import Reader, Row
from tuner.store.trials import TrialOrder
from tuner.store.unreadable import readable
from tuner.views import AttemptList, BestList, Curves, TrialPage, TrialView
from tuner.workers import logs


class Results(Part):
    """Answers what is known of trials."""

    def best(self, job: str, k: int = 1) -> BestList:
        """The `k` best completed trials, best first; of equals those with lower numbers.

        Of a job with several metrics those that no other is better than in all of them.

        Raises:
            JobNotFound, NoCompletedTrial, StoreUnavailable.
        """
        return BestList.model_validate(self.best_facts(job, k))

    def best_facts(self, job: str, k: int = 1) -> dict[str, Any]:
        """The fields of `best`."""
        with self._db.asking() as asker:
            facts = self._facts(asker, job)
            size = check_page_size(k)
            rows = self._front(asker, facts) if facts.others else self._best(asker, facts, size)
        now = self._clock()
        url = f"/v1/jobs/{job}/best/model" if rows[0].model_uri else None
        return {
            "metric": facts.metric,
            "direction": facts.direction,
            "metrics": metrics_of(facts),
            "best": [trial_facts(row, now) for row in rows],
            "model_url": url,
        }

    def best_model(self, job: str, file_format: str = "safetensors") -> Path:
        """The file of the best trial's network, in one of `conversion.SUFFIXES`.

        Raises:
            ArtifactNotFound: it is not kept, or not written yet.
            ArtifactsUnavailable: the store does not answer.
            FormatUnavailable: a package is missing that the format needs.
            ConversionFailed, ConversionBusy: it took too long, or failed; others come first.
            JobNotFound, NoCompletedTrial, StoreUnavailable.
        """
        with self._db.reading() as connection:
            best = self._best(connection, self._facts(connection, job), 1)[0]
        path = self._model_file(job, best)
        if file_format == "safetensors":
            return path
        return converted(
            path,
            converted_folder(self._settings.cache, job),
            file_format,
            allowed_code=self._settings.allowed_code,
            code=code_order(self._code_of(job), self._settings),
        )

    def _code_of(self, job: str) -> Code | None:
        with self._db.reading() as connection, readable(job):
            named = self._detail(connection, job).spec.get("code")
        return None if named is None else Code(**named)

    def best_card(self, job: str) -> str:
        """The best trial's network, described in Markdown.

        Raises:
            ArtifactNotFound: it is not kept, or not written yet.
            JobNotFound, NoCompletedTrial, StoreUnavailable.
        """
        with self._db.reading() as connection:
            row = self._detail(connection, job)
            best = self._best(connection, self._facts(connection, job), 1)[0]
        try:
            about = read_document(self._model_file(job, best))
        except (OSError, ValueError) as error:
            raise _no_model(job, best) from error
        with readable(job):
            return card_of(row, best, about, self._clock())

    def trials(
        self,
        job: str,
        *,
        state: TrialState | None = None,
        sort: str = TrialOrder.NUMBER,
        page_size: int = 100,
        page_token: str | None = None,
    ) -> TrialPage:
        """A page of the job's trials. Sorted by value, only those that have one are listed.

        Raises:
            SpecInvalid: the order, the size or the token is none.
            JobNotFound, StoreUnavailable.
        """
        facts = self.trials_facts(
            job, state=state, sort=sort, page_size=page_size, page_token=page_token
        )
        return TrialPage.model_validate(facts)

    def trials_facts(
        self,
        job: str,
        *,
        state: TrialState | None,
        sort: str,
        page_size: int,
        page_token: str | None,
    ) -> dict[str, Any]:
        """The fields of `trials`."""
        order, size = _order(sort), check_page_size(page_size)
        after = _place(page_token, order, state)
        with self._db.asking() as asker:
            rows = trials.page_of_trials(
                asker, named(job), state=state, order=order, after=after, limit=size + 1
            )
            if not rows:
                self._facts(asker, job)  # says so where there is no such job
        now, more = self._clock(), len(rows) > size
        return {
            "trials": [trial_facts(row, now) for row in rows[:size]],
            "next_page_token": _token(rows[size - 1], order, state) if more else None,
        }

    def trial(self, job: str, number: int) -> TrialView:
        """One trial.

        Raises:
            JobNotFound, TrialNotFound, StoreUnavailable.
        """
        with self._db.reading() as connection:
            return trial_view(self._trial(connection, job, number), self._clock())

    def attempts(self, job: str, number: int) -> AttemptList:
        """All attempts of a trial, first to last.

        Raises:
            JobNotFound, TrialNotFound, StoreUnavailable.
        """
        with self._db.reading() as connection:
            trial = self._trial(connection, job, number)
            rows = attempts.attempts_of(connection, trial.id)
        return AttemptList(attempts=attempt_views(rows, trial.progress))

    def probes(self, job: str) -> AttemptList:
        """All probes of a job, first to last.

        Raises:
            JobNotFound, StoreUnavailable.
        """
        with self._db.reading() as connection:
            rows = attempts.probes_of(connection, self._facts(connection, job).id)
        return AttemptList(attempts=attempt_views(rows))

    def probe_log_path(self, job: str, attempt: int) -> Path:
        """The log of a probe, as `log_path` is of a trial's attempt.

        Raises:
            ArtifactNotFound: the job has no such probe.
            JobNotFound, StoreUnavailable.
        """
        if attempt not in [probe.id for probe in self.probes(job).attempts]:
            raise ArtifactNotFound(f"log: job {job} has no probe {attempt}")
        return logs.path_of(log_root(self._settings.artifacts), attempt)

    def curves(self, job: str, number: int) -> Curves:
        """The learning curves of a trial.

        Raises:
            JobNotFound, TrialNotFound, StoreUnavailable.
        """
        with self._db.reading() as connection:
            rows = trials.curves(connection, self._trial(connection, job, number).id)
        return Curves(number=number, points=[metric_point(row) for row in rows])

    def log_path(self, job: str, number: int, attempt: int | None = None) -> Path:
        """The log of an attempt of a trial, by default the newest; for `tuner.workers.logs.read`.

        The file is there once something has been written.

        Raises:
            ArtifactNotFound: the trial has no such attempt.
            JobNotFound, TrialNotFound, StoreUnavailable.
        """
        with self._db.reading() as connection:
            trial = self._trial(connection, job, number).id
            if attempt is None:
                found = attempts.newest_attempt(connection, trial)
            else:
                found = attempt if attempts.is_attempt_of(connection, trial, attempt) else None
        if found is None:
            which = "attempt" if attempt is None else f"attempt {attempt}"
            raise ArtifactNotFound(f"log: trial {number} of job {job} has no {which}")
        return logs.path_of(log_root(self._settings.artifacts), found)

    def _model_file(self, job: str, best: Row) -> Path:
        """The file on this host; one that is far away is copied into the cache.

        Raises:
            ArtifactNotFound, ArtifactsUnavailable.
            DiskFull: there is no room for the copy.
        """
        if best.model_uri is None:
            raise _no_model(job, best)
        try:
            with room(self._settings.cache):
                return self._artifacts.fetch(best.model_uri, self._settings.cache)
        except (ArtifactNotFound, ValueError) as error:
            raise _no_model(job, best) from error

    def _front(self, asker: Reader, facts: Row) -> list[Row]:
        told = {row.number: row.values_told for row in trials.completed_values(asker, facts.ulid)}
        if not told:
            raise NoCompletedTrial(facts.ulid, facts.state)
        with readable(facts.ulid):
            directions = [Direction(way) for way in metrics_of(facts).values()]
            front = pareto_front(told, directions)
        return trials.trials_of_numbers(asker, facts.ulid, front)

    def _best(self, connection: Reader, facts: Row, k: int) -> list[Row]:
        with readable(facts.ulid):
            direction = Direction(facts.direction)
        rows = trials.best_trials(connection, facts.ulid, direction, k)
        if not rows:
            raise NoCompletedTrial(facts.ulid, facts.state)
        return list(rows)


def _no_model(job: str, best: Row) -> ArtifactNotFound:
    return ArtifactNotFound(f"model of trial {best.number} of job {job}")


def _order(sort: str) -> TrialOrder:
    try:
        return TrialOrder(sort)
    except ValueError as error:
        known = ", ".join(TrialOrder)
        detail = f"sort = {sort!r} must be one of {known}."
        raise SpecInvalid([Fault(pointer="sort", code="sort", detail=detail)]) from error


def _token(last: Row, order: TrialOrder, state: TrialState | None) -> str:
    value = last.value if order.by_value else 0.0
    return token_of(o=order, s=state or "", v=value, n=last.number)


def _place(token: str | None, order: TrialOrder, state: TrialState | None) -> tuple[float, int]:
    if token is None:
        return order.start
    place: dict[str, Any] = place_of(token, o=str, s=str, v=float, n=int)
    if (place["o"], place["s"]) != (order, state or ""):
        raise refuse_token(token)
    if not -1 <= place["n"] <= trials.NUMBER_LIMIT:
        raise refuse_token(token)
    return place["v"], place["n"]
