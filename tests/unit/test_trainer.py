"""The trainer as a program: what it says to the scheduler, also when it goes on after a loss."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.protocol import FromWorker, Judged, Reported, Saved, StartAttempt, ToWorker, Verdict
from tuner.states import AttemptState, Reason
from tuner.trainer import probe, train_trial
from tuner.trial import Context, Outcome


class Scheduler:
    """Takes in what a program says, and judges each report; stops it at step `until`."""

    def __init__(self, until: int | None = None) -> None:
        self.heard: list[FromWorker] = []
        self._until = until

    def send(self, message: FromWorker) -> None:
        self.heard.append(message)

    def receive(self) -> ToWorker:
        step = self.reports[-1].step
        verdict = Verdict.STOP if step == self._until else Verdict.CONTINUE
        return Judged(attempt=1, step=step, verdict=verdict)

    @property
    def reports(self) -> list[Reported]:
        return [message for message in self.heard if isinstance(message, Reported)]

    @property
    def curve(self) -> dict[int, Mapping[str, float]]:
        return {report.step: report.metrics for report in self.reports}


def context_of(
    folder: Path, scheduler: Scheduler, **more: Any
) -> tuple[Mapping[str, Any], Context]:
    recipe = {
        "model": "mlp",
        "data": {"name": "digits"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
    }
    payload = {
        "recipe": recipe | {"config": {"batch_size": 200, "width": 8}, "epochs": 4, "seed": 0},
        "metric": "val_loss",
        "direction": "minimize",
        "roots": [],
        "cache": str(folder / "cache"),
        "artifacts": str(folder),
        "folder": "trial",
    }
    order = StartAttempt(attempt=1, program="", payload=payload | more)
    return order.payload, Context(order, scheduler, scratch=folder, device="cpu")


def run(folder: Path, scheduler: Scheduler, **more: Any) -> Outcome:
    return train_trial(*context_of(folder, scheduler, **more))


def test_a_trial_says_of_each_epoch_what_it_brought_and_where_it_is_saved(tmp_path: Path) -> None:
    scheduler = Scheduler()
    outcome = run(tmp_path, scheduler)
    assert outcome.state is AttemptState.SUCCEEDED
    assert list(scheduler.curve) == [1, 2, 3, 4]
    assert outcome.value == min(metrics["val_loss"] for metrics in scheduler.curve.values())
    saved = [message for message in scheduler.heard if isinstance(message, Saved)]
    assert [message.step for message in saved if not message.best] == [1, 2, 3, 4]
    assert all((tmp_path / message.uri).exists() for message in saved if message.best)


def test_epochs_saved_but_never_heard_of_are_reported_before_training_goes_on(
    tmp_path: Path,
) -> None:
    lost = Scheduler(until=3)
    stopped = run(tmp_path, lost)
    assert (stopped.state, stopped.reason) == (AttemptState.CANCELLED, Reason.CANCELLED)
    heir = Scheduler()
    run(tmp_path, heir, reported=1)
    assert [report.step for report in heir.reports] == [2, 3, 4]
    assert heir.curve[2] == lost.curve[2]
    assert heir.curve[3] == lost.curve[3]


def test_what_is_made_up_for_is_judged_like_anything_reported(tmp_path: Path) -> None:
    run(tmp_path, Scheduler(until=3))
    strict = Scheduler(until=2)
    assert run(tmp_path, strict, reported=0).state is AttemptState.CANCELLED
    assert [report.step for report in strict.reports] == [1, 2]


def test_a_probe_of_code_that_is_not_there_says_so(tmp_path: Path) -> None:
    payload, context = context_of(tmp_path, Scheduler(), allowed_code=["nowhere"])
    payload = {**payload, "recipe": payload["recipe"] | {"loss": "nowhere.losses:Loss"}}
    outcome = probe(payload, context)
    assert (outcome.state, outcome.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
    assert outcome.detail == (
        "nowhere.losses:Loss: No module named 'nowhere'; install it into the Python that runs the "
        "workers."
    )
    refused = probe({**payload, "allowed_code": []}, context)
    assert refused.reason is Reason.USER_ERROR
    assert "TUNER_ALLOWED_CODE" in (refused.detail or "")
