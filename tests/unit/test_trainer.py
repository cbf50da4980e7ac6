"""The trainer as a program: what it says to the scheduler, also when it goes on after a loss."""

import errno
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch

from models.data.loading import load
from models.exported.export import describe_model, load_model
from models.training.checkpoint import Checkpoint, load_checkpoint
from models.training.evaluate import evaluate
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.lanes.throughput import best
from models.training.train import Epoch
from tests.damage import damaged
from tests.faults import narrow
from tuner.generations import Generation
from tuner.protocol import (
    FromWorker,
    Judged,
    Progressed,
    Reported,
    Saved,
    StartAttempt,
    StopAttempt,
    ToWorker,
    Verdict,
)
from tuner.states import AttemptState, Reason
from tuner.trainer import probe, train_trial
from tuner.trial import Context, Outcome
from tuner.trial_files import Best, Files
from tuner.trial_order import Job


class Scheduler:
    """Takes in what a program says, and judges each report.

    It stops the program at the report of step `until`, or on the way to that of step `amid`, once
    it is `done` parts far, for `reason`.
    """

    def __init__(
        self,
        until: int | None = None,
        amid: int | None = None,
        *,
        done: int = 1,
        reason: Reason = Reason.PREEMPTED,
    ) -> None:
        self.heard: list[FromWorker] = []
        self._until, self._amid = until, amid
        self._done, self._reason = done, reason

    def send(self, message: FromWorker) -> None:
        self.heard.append(message)

    def receive(self) -> ToWorker:
        step = self.reports[-1].step
        verdict = Verdict.STOP if step == self._until else Verdict.CONTINUE
        return Judged(attempt=1, step=step, verdict=verdict)

    def receive_now(self) -> ToWorker | None:
        word = self.heard[-1]
        assert isinstance(word, Progressed)
        if word.step != self._amid or word.done < self._done:
            return None
        self._amid = None
        return StopAttempt(attempt=1, reason=self._reason)

    @property
    def reports(self) -> list[Reported]:
        return [message for message in self.heard if isinstance(message, Reported)]

    @property
    def curve(self) -> dict[int, Mapping[str, float]]:
        return {report.step: report.metrics for report in self.reports}

    @property
    def told(self) -> list[tuple[int, int]]:
        """The steps it was told of, each by the epoch's number and its own in it."""
        return [(m.step, m.done) for m in self.heard if isinstance(m, Progressed)]


def context_of(
    folder: Path,
    scheduler: Scheduler,
    *,
    config: Mapping[str, Any] | None = None,
    loss: str = "cross_entropy",
    **more: Any,
) -> tuple[Mapping[str, Any], Context]:
    recipe = {
        "model": "mlp",
        "data": {"name": "digits"},
        "loss": loss,
        "optimizer": "sgd",
    }
    payload = {
        "recipe": recipe
        | {"config": {"batch_size": 200, "width": 8, **(config or {})}, "epochs": 4, "seed": 0},
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


#: Nothing changes any more: after the first epoch none is better.
STILL = {"lr": 1e-30, "normalisation": "none"}


def test_a_trial_without_a_better_epoch_ends_early_and_has_its_best(tmp_path: Path) -> None:
    scheduler = Scheduler()
    outcome = run(tmp_path, scheduler, config=STILL | {"early_stopping": 2})
    assert list(scheduler.curve) == [1, 2, 3]
    assert outcome.state is AttemptState.SUCCEEDED
    assert outcome.value == scheduler.curve[1]["val_loss"]
    assert outcome.facts["best_step"] == 1
    assert (tmp_path / "trial" / "model.safetensors").exists()


def test_a_trial_that_gets_better_is_not_ended_early(tmp_path: Path) -> None:
    scheduler = Scheduler()
    run(tmp_path, scheduler, config={"early_stopping": 1})
    assert list(scheduler.curve) == [1, 2, 3, 4]


def test_a_trial_that_had_ended_early_when_its_worker_was_lost_trains_no_more(
    tmp_path: Path,
) -> None:
    config = STILL | {"early_stopping": 2}
    whole = run(tmp_path, Scheduler(), config=config)
    heir = Scheduler()
    again = run(tmp_path, heir, config=config, reported=2)
    assert list(heir.curve) == [3]
    assert (again.state, again.value) == (whole.state, whole.value)
    assert again.facts["best_step"] == 1


def saved_by(scheduler: Scheduler) -> list[Saved]:
    return [message for message in scheduler.heard if isinstance(message, Saved)]


def test_a_checkpoint_says_which_of_the_trial_s_files_it_supersedes_and_removes_none(
    tmp_path: Path,
) -> None:
    scheduler = Scheduler()
    run(tmp_path, scheduler, config=STILL)
    given_up = [uri for message in saved_by(scheduler) for uri in message.superseded]
    assert given_up == ["trial/epoch-000002.safetensors"], "1 is the best, 3 and 4 are the newest"
    assert all((tmp_path / uri).exists() for uri in given_up)


def test_a_damaged_newest_checkpoint_costs_one_epoch_more_and_no_gap(tmp_path: Path) -> None:
    whole, lost, heir = Scheduler(), Scheduler(until=3), Scheduler()
    run(tmp_path / "whole", whole)
    run(tmp_path / "cut", lost)
    newest = tmp_path / "cut" / "trial" / "epoch-000003.safetensors"
    newest.write_bytes(damaged(newest.read_bytes(), seed=0))
    run(tmp_path / "cut", heir, reported=3)
    first = heir.heard[0]
    assert isinstance(first, Saved)
    assert first.uri == "trial/epoch-000002.safetensors"
    assert list(heir.curve) == [3, 4]
    losses = {step: metrics["val_loss"] for step, metrics in whole.curve.items()}
    again = {step: metrics["val_loss"] for step, metrics in {**lost.curve, **heir.curve}.items()}
    assert again == losses


def test_with_every_checkpoint_damaged_the_attempt_fails_and_the_next_starts_over(
    tmp_path: Path,
) -> None:
    run(tmp_path, Scheduler(until=2))
    for file in (tmp_path / "trial").iterdir():
        file.write_bytes(damaged(file.read_bytes(), seed=1))
    failed = run(tmp_path, Scheduler(), reported=2)
    assert (failed.state, failed.reason) == (AttemptState.FAILED, Reason.CHECKPOINT_CORRUPT)
    assert failed.detail == "No checkpoint of the trial is whole, of 2; it starts over."
    again = Scheduler()
    assert run(tmp_path, again).state is AttemptState.SUCCEEDED
    assert list(again.curve) == [1, 2, 3, 4]


def test_a_checkpoint_that_cannot_be_written_ends_the_attempt_that_went_on_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tuner.trial_files.Sealer.seal", fail)
    monkeypatch.setattr("tuner.trainer.Files", partial(Files, at_once_bytes=0))
    scheduler = Scheduler()
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, scheduler)
    assert list(scheduler.curve) == [1, 2], "the second epoch was trained as the first was written"
    assert not saved_by(scheduler)


def test_what_is_written_meanwhile_is_complete_before_it_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strict(Scheduler):
        def send(self, message: FromWorker) -> None:
            super().send(message)
            if isinstance(message, Saved) and not message.best:
                assert load_checkpoint(tmp_path / message.uri).epoch == message.step

    monkeypatch.setattr("tuner.trainer.Files", partial(Files, at_once_bytes=0))
    scheduler = Strict(until=3)
    assert run(tmp_path, scheduler).state is AttemptState.CANCELLED
    assert [message.step for message in saved_by(scheduler)] == [1, 2, 3], "the last one, too"
    heir = Scheduler()
    run(tmp_path, heir, reported=3)
    assert list(heir.curve) == [4]


def test_what_is_written_meanwhile_is_what_would_be_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training goes on in the tensors that were copied, and every copy is in the same memory."""
    for limit in (0, sys.maxsize):
        monkeypatch.setattr("tuner.trainer.Files", partial(Files, at_once_bytes=limit))
        run(tmp_path / str(limit), Scheduler())
    paths = list((tmp_path / "0" / "trial").glob("epoch-*"))
    assert len(paths) == 4
    for path in paths:
        meanwhile = load_checkpoint(path)
        at_once = load_checkpoint(tmp_path / str(sys.maxsize) / "trial" / path.name)
        assert meanwhile.epoch == at_once.epoch
        assert meanwhile.tensors.keys() == at_once.tensors.keys()
        for name, tensor in meanwhile.tensors.items():
            assert torch.equal(tensor, at_once.tensors[name])


@pytest.mark.usefixtures("talkative")
def test_who_is_stopped_amid_an_epoch_has_announced_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.trainer.Files", partial(Files, at_once_bytes=0))
    scheduler = Scheduler(amid=3)
    assert run(tmp_path, scheduler).state is AttemptState.PREEMPTED
    assert [message.uri for message in saved_by(scheduler)] == [
        "trial/epoch-000001.safetensors",
        "trial/epoch-000002.safetensors",
        f"trial/{AMID}",
    ]


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is told, as if each took a second."""
    monkeypatch.setattr("models.training.pace.TELL_EVERY_S", 0.0)


@pytest.mark.usefixtures("talkative")
def test_a_long_epoch_is_told_of_before_it_is_reported(tmp_path: Path) -> None:
    scheduler = Scheduler()
    run(tmp_path, scheduler)
    words = [m for m in scheduler.heard if isinstance(m, Progressed | Reported)]
    first = words[: words.index(scheduler.reports[0])]
    assert [(w.step, w.done) for w in first if isinstance(w, Progressed)] == [
        (1, done) for done in range(1, len(first) + 1)
    ]
    assert isinstance(first[-1], Progressed)
    assert first[-1].total == len(first)
    assert first[-1].metrics == {"train_loss": scheduler.curve[1]["train_loss"]}


#: Where `run` is stopped by a scheduler that stops it amid epoch 3: of 7 steps, one was taken.
AMID = "epoch-000002.step-000000015.safetensors"


def losses_of(*schedulers: Scheduler) -> dict[int, list[float]]:
    """What is not of the clock in the curves that they heard together."""
    return {
        step: [metrics[name] for name in ("train_loss", "train_accuracy", "val_loss")]
        for scheduler in schedulers
        for step, metrics in scheduler.curve.items()
    }


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("done", [1, 3, 7])
def test_preempted_amid_an_epoch_the_next_attempt_goes_on_there(done: int, tmp_path: Path) -> None:
    whole, first, second = Scheduler(), Scheduler(amid=3, done=done), Scheduler()
    run(tmp_path / "whole", whole)
    stopped = run(tmp_path / "cut", first)
    assert (stopped.state, stopped.reason) == (AttemptState.PREEMPTED, Reason.PREEMPTED)
    assert isinstance(saved := first.heard[-1], Saved)
    assert saved.uri == f"trial/epoch-000002.step-{14 + done:09d}.safetensors"
    assert first.told[-1] == (3, done), "no step more than that"
    run(tmp_path / "cut", second, reported=2)
    assert (list(first.curve), list(second.curve)) == ([1, 2], [3, 4])
    assert losses_of(first, second) == losses_of(whole)
    assert first.told + second.told == whole.told, "every step once"


@pytest.mark.usefixtures("talkative")
def test_preempted_twice_in_its_first_epoch_a_trial_still_takes_every_step_once(
    tmp_path: Path,
) -> None:
    whole, attempts = Scheduler(), [Scheduler(amid=1, done=2), Scheduler(amid=1, done=5)]
    run(tmp_path / "whole", whole)
    for attempt in (*attempts, last := Scheduler()):
        run(tmp_path / "cut", attempt)
    assert [told for each in (*attempts, last) for told in each.told] == whole.told
    assert losses_of(last) == losses_of(whole)
    names = [f"trial/epoch-000000.step-{done:09d}.safetensors" for done in (2, 5)]
    assert [(m.uri, list(m.superseded)) for m in saved_by(attempts[1])] == [(names[1], names[:1])]
    assert list(saved_by(last)[0].superseded) == names, "they go once the epoch has ended"


@pytest.mark.usefixtures("talkative")
def test_who_is_cancelled_amid_an_epoch_saves_nothing_of_it(tmp_path: Path) -> None:
    scheduler = Scheduler(amid=3, reason=Reason.CANCELLED)
    assert run(tmp_path, scheduler).state is AttemptState.CANCELLED
    assert [message.step for message in saved_by(scheduler)] == [1, 2]
    assert not (tmp_path / "trial" / AMID).exists()


@pytest.mark.usefixtures("talkative")
def test_a_damaged_checkpoint_amid_an_epoch_costs_the_steps_of_that_epoch(tmp_path: Path) -> None:
    whole, first, second = Scheduler(), Scheduler(amid=3), Scheduler()
    run(tmp_path / "whole", whole)
    run(tmp_path / "cut", first)
    amid = tmp_path / "cut" / "trial" / AMID
    amid.write_bytes(damaged(amid.read_bytes(), seed=0))
    run(tmp_path / "cut", second, reported=2)
    assert [m.uri for m in saved_by(second)][:1] == ["trial/epoch-000002.safetensors"]
    assert not amid.exists()
    assert losses_of(first, second) == losses_of(whole)


@pytest.mark.usefixtures("talkative")
def test_a_checkpoint_amid_an_epoch_that_cannot_be_written_is_not_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(Scheduler):
        """The disk is full from the moment it asks to stop."""

        def receive_now(self) -> ToWorker | None:
            if (word := super().receive_now()) is not None:
                monkeypatch.setattr("tuner.trial_files.Sealer.seal", refuse)
            return word

    def refuse(*_: object) -> list[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    scheduler = Full(amid=3)
    assert run(tmp_path, scheduler).state is AttemptState.PREEMPTED
    assert [message.step for message in saved_by(scheduler)] == [1, 2]
    assert "goes on from its last epoch: [Errno 28] No space left" in capsys.readouterr().err


@pytest.mark.usefixtures("talkative")
def test_a_committee_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    recipe = {
        "model": "mlp",
        "data": {"name": "wine"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "config": {"batch_size": 16, "width": 8, "folds": 2},
        "epochs": 4,
        "seed": 0,
    }
    whole, first, second = Scheduler(), Scheduler(amid=3), Scheduler()
    run(tmp_path / "whole", whole, recipe=recipe)
    run(tmp_path / "cut", first, recipe=recipe)
    assert [message.step for message in saved_by(first)] == [1, 2]
    run(tmp_path / "cut", second, recipe=recipe, reported=2)
    assert second.told[0] == (3, 1)
    assert losses_of(first, second) == losses_of(whole)


def test_generations_and_the_names_of_their_files_are_in_the_order_in_which_they_come() -> None:
    places = [(0, 5), (1, 0), (1, 12), (1, 100), (2, 0), (2, 101), (10, 0), (10, 1000)]
    generations = [Generation(epoch=epoch, step=step) for epoch, step in places]
    assert sorted(generations) == generations
    names = [generation.name for generation in generations]
    assert sorted(names) == names
    assert [Generation.named(name) for name in names] == generations
    assert names[1] == "epoch-000001.safetensors"
    assert Generation.named("model.safetensors") is None


class Crowding(Scheduler):
    """Others take half of the room after the report of step 2."""

    def receive(self) -> ToWorker:
        if self.reports[-1].step == 2:
            narrow.taken = 100
        return super().receive()


def test_after_memory_ran_out_half_a_batch_at_once_goes_on_to_the_same_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrow, "taken", 0)
    own: dict[str, Any] = {
        "config": {"room": 200, "normalisation": "layer", "dropout": 0.0},
        "loss": "tests.faults.narrow:loss",
        "allowed_code": ["tests"],
    }
    whole, first, second = Scheduler(), Crowding(), Scheduler()
    run(tmp_path / "whole", whole, **own)
    with pytest.raises(torch.OutOfMemoryError, match="200 rows, room for 100"):
        run(tmp_path / "cut", first, **own)
    run(tmp_path / "cut", second, reported=2, halvings=1, **own)
    assert (list(first.curve), list(second.curve)) == ([1, 2], [3, 4])
    for step in (3, 4):
        for name in ("train_loss", "val_loss", "learning_rate"):
            expected = pytest.approx(whole.curve[step][name], rel=1e-4)
            assert second.curve[step][name] == expected


def test_the_test_split_is_told_by_the_network_s_file_and_by_nothing_else(tmp_path: Path) -> None:
    scheduler = Scheduler()
    recipe = {
        "model": "mlp",
        "data": {"name": "breast_cancer"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "config": {"batch_size": 200, "width": 8},
        "epochs": 4,
        "seed": 0,
    }
    outcome = run(tmp_path, scheduler, recipe=recipe)
    about = describe_model(tmp_path / "trial" / "model.safetensors")
    data = load("breast_cancer", cache_dir=tmp_path / "cache")
    network = load_model(tmp_path / "trial" / "model.safetensors")
    measured = evaluate(network, data, "test")
    found = about["test"]["metrics"]["accuracy"]
    assert found["value"] == measured["accuracy"]
    assert found["low"] < found["value"] < found["high"]
    assert about["test"]["rows"] == data.shape.test_rows
    assert about["environment"]["torch"] == torch.__version__
    assert not [name for metrics in scheduler.curve.values() for name in metrics if "test" in name]
    assert outcome.facts.keys() == {"best_step"}


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


def test_a_cuda_graph_without_a_gpu_fails_the_probe(tmp_path: Path) -> None:
    outcome = probe(*context_of(tmp_path, Scheduler(), graph="cudagraph"))
    assert (outcome.state, outcome.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
    assert (outcome.detail or "").startswith("resources.graph = 'cudagraph': it wants a GPU")


def test_a_probe_finds_how_many_lanes_pay_once_for_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"most_lanes": 8, "measure_lanes": True}
    payload, context = context_of(tmp_path, Scheduler(), **asked)
    payload = {**payload, "recipe": payload["recipe"] | {"optimizer": "sgd"}}
    first = probe(payload, context).facts
    assert set(first["rows_per_second"]) >= {"1", "2"}
    assert first["lanes"] == best({int(k): v for k, v in first["rows_per_second"].items()})

    def measured_again(*args: object, **named: object) -> None:
        raise AssertionError("it is remembered")

    monkeypatch.setattr("tuner.measured_lanes.measured", measured_again)
    again = probe(payload, context).facts
    assert again["rows_per_second"] == first["rows_per_second"]
    notes = list((tmp_path / "cache" / "lanes").iterdir())
    notes[0].write_text('{"1": ')
    with pytest.raises(AssertionError, match="remembered"):
        probe(payload, context)  # half a note is none


def test_a_probe_says_how_many_lanes_fit_and_why_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, context = context_of(tmp_path, Scheduler(), most_lanes=8)
    payload = {**payload, "recipe": payload["recipe"] | {"optimizer": "sgd"}}
    assert probe(payload, context).facts["lanes"] == 8

    class Small(Lanes):
        def __init__(self, *args: Any, capacity: int, **named: Any) -> None:
            if capacity > 2:
                raise torch.OutOfMemoryError("no room")
            super().__init__(*args, capacity=capacity, **named)

    monkeypatch.setattr("tuner.measured_lanes.Lanes", Small)
    assert probe(payload, context).facts["lanes"] == 2

    def refuses(*args: object, **named: object) -> None:
        raise LaneRefused("vmap cannot carry it")

    monkeypatch.setattr("tuner.measured_lanes.Lanes", refuses)
    facts = probe(payload, context).facts
    assert (facts["lanes"], facts["alone"]) == (1, "vmap cannot carry it")
    alone = {**payload, "recipe": payload["recipe"] | {"optimizer": "muon"}}
    assert "lanes" not in probe(alone, context).facts, "its trials say so, and others may go in one"
    measured = probe({**alone, "measure_lanes": True}, context).facts
    assert measured["lanes"] == 1
    assert measured["alone"].startswith("The optimizer muon trains alone")


@pytest.mark.parametrize(("to_beat", "left"), [(None, True), (100.0, True), (0.0, False)])
def test_a_trial_that_is_not_the_best_leaves_no_network(
    to_beat: float | None, left: bool, tmp_path: Path
) -> None:
    scheduler = Scheduler()
    outcome = run(tmp_path, scheduler, to_beat=to_beat)
    assert outcome.state is AttemptState.SUCCEEDED
    assert (tmp_path / "trial" / "model.safetensors").exists() is left
    assert any(message.best for message in scheduler.heard if isinstance(message, Saved)) is left


def test_of_epochs_that_are_equally_good_the_one_with_the_lowest_loss_is_kept(
    tmp_path: Path,
) -> None:
    payload, context = context_of(
        tmp_path, Scheduler(), metric="val_accuracy", direction="maximize"
    )
    best = Best()
    steps = [(0.9, 0.5), (1.0, 0.4), (1.0, 0.2), (1.0, 0.3), (0.9, 0.1)]
    with Files(Job.of(payload), context) as files:
        for step, (accuracy, loss) in enumerate(steps, 1):
            metrics = {"val_accuracy": accuracy, "val_loss": loss}
            best = files.save(an_epoch(tmp_path, step, metrics), best)
    assert (best.step, best.value) == (3, 1.0)


def an_epoch(folder: Path, step: int, metrics: Mapping[str, float]) -> Epoch:
    """An epoch with some checkpoint."""
    return Epoch(
        index=step, metrics=metrics, state=lambda: replace(a_checkpoint(folder), epoch=step)
    )


@lru_cache
def a_checkpoint(folder: Path) -> Checkpoint:
    run(folder / "other", Scheduler())
    return load_checkpoint(next((folder / "other" / "trial").glob("epoch-*")))
