"""`sampler: auto`: which model proposes when, and that it learns from all there is."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import distribution_to_json
from optuna.trial import TrialState as OptunaState
from scipy.optimize import check_grad

from models.hyperparameters import Choice, Config, Integer, Real, When
from tuner.search import auto, gaussian, tpe
from tuner.search.answers import Proposal
from tuner.search.columns import Columns, keys
from tuner.search.history import History
from tuner.search.improving import Improver
from tuner.search.losses import losses_of, scores_of
from tuner.search.objective_study import ObjectiveStudy
from tuner.search.replaying import StoredTrial
from tuner.search.study import JobStudy
from tuner.search.translation import distributions_of
from tuner.search_spec import Search
from tuner.space import Space, arranged
from tuner.states import Direction, TrialState

LR = Real(name="lr", low=1e-5, high=1e-1, default=1e-3, log=True)
DROPOUT = Real(name="dropout", low=0.0, high=0.5, default=0.1)
WIDTH = Integer(name="width", low=16, high=512, default=64, log=True)
DEPTH = Integer(name="depth", low=1, high=9, default=3, step=2)
OPTIMIZER = Choice(name="optimizer", choices=("sgd", "adamw", "rmsprop"), default="adamw")
MOMENTUM = Real(
    name="momentum",
    low=0.0,
    high=0.99,
    default=0.9,
    when=(When(parameter="optimizer", values=("sgd",)),),
)
NESTEROV = Choice(
    name="nesterov",
    choices=(True, False),
    default=True,
    when=(When(parameter="momentum", values=(0.9,)),),
)
NUMBERS = arranged([LR, DROPOUT])
MIXED = arranged([LR, DROPOUT, WIDTH, DEPTH, OPTIMIZER, MOMENTUM])
#: 27 configurations.
SMALL = arranged([Integer(name=name, low=0, high=2, default=0) for name in "abc"])


def make_study(space: Space, *, seed: int = 7, direction: Direction = Direction.MINIMIZE) -> Any:
    return JobStudy(
        job="job_01TEST",
        space=space,
        directions=[direction],
        search=Search.model_validate({"sampler": "auto", "pruner": "none"}),
        epochs=None,
        seed=seed,
    )


def valley(params: Config) -> float:
    loss = (math.log10(float(params["lr"])) + 3) ** 2 + (float(params["dropout"]) - 0.2) ** 2
    return loss + (params.get("optimizer", "sgd") != "sgd") + abs(params.get("momentum", 0.5) - 0.5)


def plain_sum(params: Config) -> float:
    return float(sum(params.values()))


def carry_out(
    study: JobStudy, count: int, loss: Callable[[Config], float] = valley
) -> list[Proposal]:
    proposals = []
    for _ in range(count):
        proposals.append(study.ask())
        study.tell(proposals[-1].number, TrialState.COMPLETED, loss(proposals[-1].params))
    return proposals


def hows(proposals: Sequence[Proposal]) -> list[str | None]:
    return [proposal.how for proposal in proposals]


def test_each_proposal_says_which_model_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "MOST_GAUSSIAN", 12)
    study = make_study(MIXED)
    given = study.ask({})
    assert given.how is None
    study.tell(given.number, TrialState.COMPLETED, 1.0)
    expected = [auto.EVENLY] * (auto.FIRST - 1) + [auto.GAUSSIAN] * 4 + [auto.TPE] * 2
    assert hows(carry_out(study, 13)) == expected


def test_trials_that_all_come_out_alike_teach_nothing() -> None:
    study = make_study(NUMBERS)
    assert set(hows(carry_out(study, 15, lambda _: 0.5))) == {auto.EVENLY}


def test_the_process_finds_what_chance_does_not() -> None:
    study = make_study(MIXED)
    best = min(valley(p.params) for p in carry_out(study, 40))
    space = distributions_of(MIXED)
    chance = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))
    drawn = min(valley(chance.ask(dict(space)).params) for _ in range(400))
    assert best < drawn


@pytest.mark.parametrize("direction", Direction)
def test_both_directions_are_searched_alike(direction: Direction) -> None:
    sign = 1 if direction is Direction.MINIMIZE else -1
    study = make_study(NUMBERS, direction=direction)
    proposals = carry_out(study, 30, lambda params: sign * valley(params))
    expected = carry_out(make_study(NUMBERS), 30)
    assert [p.params for p in proposals] == [p.params for p in expected]


def test_a_loss_and_its_logarithm_are_searched_alike() -> None:
    plain = carry_out(make_study(NUMBERS), 25, lambda p: math.exp(valley(p)))
    scaled = carry_out(make_study(NUMBERS), 25, valley)
    assert [p.params for p in plain] == [p.params for p in scaled]


def test_another_seed_searches_elsewhere() -> None:
    one, other = (carry_out(make_study(NUMBERS, seed=seed), 10) for seed in (1, 2))
    assert [p.params for p in one] != [p.params for p in other]


def test_a_finite_space_is_tried_without_repetition() -> None:
    proposals = carry_out(make_study(SMALL), 27, plain_sum)
    assert len({tuple(p.params.values()) for p in proposals}) == 27


def test_many_at_once_are_tried_apart() -> None:
    study = make_study(SMALL)
    carry_out(study, 10, plain_sum)
    asked = [study.ask() for _ in range(8)]
    assert set(hows(asked)) == {auto.GAUSSIAN}
    assert len({tuple(p.params.values()) for p in asked}) == 8


def test_of_very_many_at_once_the_newest_are_kept_away_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auto, "MOST_RUNNING", 3)
    study = make_study(NUMBERS)
    carry_out(study, 10)
    asked = [study.ask().params for _ in range(5)]
    heeded: list[Any] = []

    def row(_: Improver, rows: Any, scores: Any, running: Any, tried: Any) -> Any:
        heeded.extend(running)
        return rows[0]

    monkeypatch.setattr(Improver, "row", row)
    study.ask()
    columns = Columns(distributions_of(NUMBERS))
    assert keys(np.array(heeded[:3])) == keys(np.array([columns.row(p) for p in asked[2:]]))


def test_a_rebuilt_search_goes_on_by_its_process_and_repeats_nothing() -> None:
    study = make_study(SMALL)
    before = carry_out(study, 12, plain_sum)
    rows = [
        StoredTrial(
            number=p.number, state=TrialState.COMPLETED, params=p.params, value=plain_sum(p.params)
        )
        for p in before
    ]
    study.rebuild(rows, {})
    after = carry_out(study, 8, plain_sum)
    assert set(hows(after)) == {auto.GAUSSIAN}
    assert len({tuple(p.params.values()) for p in before + after}) == 20


def test_it_keeps_away_from_where_there_is_no_room() -> None:
    study = make_study(NUMBERS)
    without = 0
    for _ in range(50):
        proposal = study.ask()
        dropout = float(proposal.params["dropout"])
        if dropout <= 0.25:
            study.tell(proposal.number, TrialState.COMPLETED, -dropout)
        else:
            study.tell(proposal.number, TrialState.FAILED, infeasible=True)
            without += proposal.number >= 20
    assert without < 15


def test_a_pruned_trial_is_no_better_than_the_middle_of_the_completed() -> None:
    def trial(value: float, state: OptunaState = OptunaState.COMPLETE, room: float = 0.0) -> Any:
        attrs = {"constraints:room": room}
        return optuna.create_trial(value=value, state=state, system_attrs=attrs)

    pruned = OptunaState.PRUNED
    trials = [trial(1.0), trial(3.0), trial(0.0, pruned), trial(5.0, pruned), trial(0.0, room=1.0)]
    assert losses_of(trials, 1.0).tolist() == [1.0, 3.0, 2.0, 5.0, math.inf]
    assert losses_of(trials, -1.0).tolist() == [-1.0, -3.0, 0.0, -2.0, math.inf]


def test_scores_keep_the_order_and_nothing_else() -> None:
    scores = scores_of(np.array([3.0, 1.0, math.inf, 1.0, 2.0]))
    assert scores[1] == scores[3] < scores[4] < scores[0] < scores[2]
    assert scores.mean() == pytest.approx(0.0, abs=1e-12)
    assert scores.std() == pytest.approx(1.0)


def test_the_gradient_of_the_fit_is_right() -> None:
    rng = np.random.default_rng(0)
    rows, values = rng.random((12, 4)), rng.normal(size=12)
    owners = np.array([0, 1, 1, 2])
    usual = np.array([0.5, 0.0, 1.0, -4.0])

    def loss(theta: Any) -> Any:
        return gaussian._loss(theta, rows, values, owners, usual)

    theta = np.array([1.0, 0.3, -0.5, -3.0])
    assert check_grad(lambda t: loss(t)[0], lambda t: loss(t)[1], theta) < 1e-5


def test_a_process_knows_what_it_was_told_and_doubts_the_rest() -> None:
    rows = np.linspace(0.0, 1.0, 8)[:, None]
    values = scores_of(np.sin(6.0 * rows[:, 0]))
    owners = np.array([0])
    theta = gaussian.fitted(rows, values, owners, None)
    process = gaussian.known(rows, values, owners, theta)
    mean, deviation = process.predict(np.array([[rows[3, 0]], [0.5], [9.0]]))
    assert mean[0] == pytest.approx(values[3], abs=0.1)
    assert deviation[0] < deviation[1] < deviation[2]


@pytest.mark.parametrize("z", [-8.0, -5.0, -1.0, 0.0, 2.0])
def test_the_improvement_is_what_an_integral_says(z: float) -> None:
    grid = np.linspace(0.0, 30.0, 200_001)
    density = np.exp(-0.5 * (grid - z) ** 2) / math.sqrt(2 * math.pi)
    expected = math.log(np.trapezoid(grid * density, grid))
    found = gaussian.log_improvement(np.array([-z]), np.array([1.0]), 0.0)[0]
    assert found == pytest.approx(expected, abs=0.12)


def test_rows_and_configurations_are_one_to_one() -> None:
    columns = Columns(distributions_of(MIXED), {"momentum": MOMENTUM.when})
    rows = columns.rows(np.random.default_rng(0).random((200, 6)))
    configs = [columns.params(row) for row in rows]
    assert {c["depth"] for c in configs} == {1, 3, 5, 7, 9}
    assert all(16 <= c["width"] <= 512 for c in configs)
    again = np.array([columns.row(MIXED.complete(config)) for config in configs])
    assert keys(again) == keys(rows)


def test_what_is_inactive_does_not_tell_rows_apart() -> None:
    space = arranged([OPTIMIZER, MOMENTUM, NESTEROV])
    conditions = {"momentum": MOMENTUM.when, "nesterov": NESTEROV.when}
    columns = Columns(distributions_of(space), conditions)
    rows = columns.rows(np.random.default_rng(0).random((300, 3)))
    adamw = rows[rows[:, 0] == 1.0]
    assert len(adamw) > 50
    assert len(set(keys(adamw))) == 1
    beside = columns.neighbours(np.random.default_rng(0), adamw[0], 200)
    assert len(set(keys(beside[beside[:, 0] == 2.0]))) == 1


def test_a_condition_on_an_ordered_choice_holds_for_its_places() -> None:
    size = Choice(name="size", choices=(16, 64, 256), default=64, ordered=True)
    # 100 is none of the sizes.
    extra = Real(
        name="extra",
        low=0.0,
        high=1.0,
        default=0.5,
        when=(When(parameter="size", values=(256, 100)),),
    )
    proposals = carry_out(
        make_study(arranged([size, extra])), 20, lambda p: 300 - p["size"] + p.get("extra", 0.0)
    )
    assert proposals[-1].params["size"] == 256
    assert min(p.params.get("extra", 1.0) for p in proposals) < 0.01


def test_a_neighbour_differs_in_one_parameter_or_two() -> None:
    columns = Columns(distributions_of(SMALL))
    row = columns.row({"a": 1, "b": 0, "c": 2})
    beside = columns.neighbours(np.random.default_rng(0), row, 300)
    changed = (np.abs(beside - row) > 1e-9).sum(axis=1)
    assert set(changed) <= {0, 1, 2}
    assert (changed > 0).mean() > 0.6


def finished(count: int) -> optuna.Study:
    study = optuna.create_study()
    space = distributions_of(NUMBERS)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    for _ in range(count):
        params = drawn.ask(dict(space)).params
        study.add_trial(
            optuna.create_trial(value=valley(params), params=params, distributions=dict(space))
        )
    return study


def test_tpe_is_optunas_until_there_are_too_many_trials() -> None:
    proposed = []
    for sampler in (tpe.BriefTPE(seed=5), optuna.samplers.TPESampler(seed=5, constant_liar=False)):
        study = finished(tpe.MOST_TRIALS)
        study.sampler = sampler
        proposed.append(study.ask(dict(distributions_of(NUMBERS))).params)
    assert proposed[0] == proposed[1]


def test_of_many_trials_tpe_reads_the_best_and_the_newest() -> None:
    study = finished(900)
    history = History()
    history.read(study)
    read = {trial.number for trial in history.brief(300, 100, 25)}
    assert 275 <= len(read) <= 300
    best = sorted(study.trials, key=lambda trial: trial.values[0])[:25]
    assert {trial.number for trial in best} | set(range(800, 900)) <= read
    assert min(read) < 10


def test_a_history_follows_trials_that_end_out_of_order_and_are_withdrawn() -> None:
    study = make_study(NUMBERS)
    history = History()
    asked = [study.ask() for _ in range(3)]
    history.read(study._study)
    study.tell(asked[2].number, TrialState.COMPLETED, 2.0)
    history.read(study._study)
    assert [trial.number for trial in history.running()] == [0, 1]
    study.tell(asked[0].number, TrialState.COMPLETED, 1.0)
    fourth = study.ask()
    history.read(study._study)
    study._storage.withdraw_from(study._study_id, fourth.number)
    history.read(study._study)
    assert [trial.number for trial in history.ended()] == [0, 2]
    assert [trial.number for trial in history.running()] == [1]


def test_of_an_objective_the_parameters_count_that_all_trials_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auto, "MOST_GAUSSIAN", 15)
    study = ObjectiveStudy(
        job="job_01TEST",
        space=Space(()),
        directions=[Direction.MINIMIZE],
        search=Search.model_validate({"sampler": "auto", "pruner": "none"}),
        epochs=None,
        seed=7,
    )
    documents = {
        name: distribution_to_json(distribution)
        for name, distribution in distributions_of(arranged([LR, DROPOUT, DEPTH])).items()
    }
    hows, seen = [], set()
    for number in range(20):
        study.ask()
        # Each third trial asks for a parameter that the others lack.
        asked = ["lr", "dropout", "depth"] if number % 3 == 0 else ["lr", "dropout"]
        params = {name: study.suggest(number, name, documents[name]).value for name in asked}
        seen.add(tuple(params.values()))
        hows.append(study.attrs(number).get(auto.HOW))
        study.tell(number, TrialState.COMPLETED, valley(params))
    evenly = [auto.EVENLY] * (auto.FIRST - 1)
    assert hows == [None, *evenly, *[auto.GAUSSIAN] * 7, *[auto.TPE] * 5]
    assert len(seen) == 20
