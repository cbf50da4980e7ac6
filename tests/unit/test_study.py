"""The study of a job: proposals, verdicts, and that a rebuilt one goes on as it was."""

import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import Queue
from typing import Any, get_args

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.hyperparameters import Choice, Config, Fixed, Integer, Real, When
from tuner.planning.feasibility import pulled_to_feasible
from tuner.search import pruners, samplers, searches
from tuner.search.grid import Grid, SpaceExhausted
from tuner.search.replaying import StoredTrial
from tuner.search.study import GRIDS, JobStudy, Proposal
from tuner.search_spec import Search
from tuner.space import Space, arranged
from tuner.states import Direction, TrialState

LR = Real(name="lr", low=1e-5, high=1e-1, default=1e-3, log=True)
DROPOUT = Real(name="dropout", low=0.0, high=0.5, default=0.1)
DEPTH = Integer(name="depth", low=1, high=6, default=3)
OPTIMIZER = Choice(name="optimizer", choices=("sgd", "adamw"), default="adamw")
MOMENTUM = Real(
    name="momentum",
    low=0.0,
    high=0.99,
    default=0.9,
    when=(When(parameter="optimizer", values=("sgd",)),),
)
EPOCHS = Fixed(name="epochs", value=9)

NUMBERS = arranged([LR, DROPOUT])
MIXED = arranged([LR, DROPOUT, DEPTH, OPTIMIZER, MOMENTUM, EPOCHS])

#: 5 rates, 5 dropouts and 6 depths, for 5 momenta of sgd and for adamw.
WHOLE_GRID = 5 * 5 * 6 * 6

SAMPLERS = tuple(name for name in searches.SAMPLERS if name not in GRIDS)
#: What a pruner must be told.
OPTIONS: Mapping[str, Any] = {"threshold": {"upper": 4.0}}


def make_study(
    space: Space = NUMBERS,
    *,
    sampler: str = "tpe",
    pruner: str = "none",
    duplicates: str = "avoid",
    direction: Direction = Direction.MINIMIZE,
    epochs: int = 20,
    seed: int = 7,
    **others: Any,
) -> JobStudy:
    return JobStudy(
        job="job_01TEST",
        space=space,
        directions=[direction],
        search=Search.model_validate(
            {
                "sampler": sampler,
                "pruner": pruner,
                "duplicates": duplicates,
                "pruner_options": OPTIONS.get(pruner, {}),
            }
        ),
        epochs=epochs,
        seed=seed,
        **others,
    )


def quality(params: Config) -> float:
    """A valley with its ground at lr = 1e-3 and dropout = 0.2."""
    return (math.log10(float(params["lr"])) + 3) ** 2 + (float(params["dropout"]) - 0.2) ** 2


class Ledger:
    """What our tables would hold: the rows a study is rebuilt from."""

    def __init__(self, study: JobStudy) -> None:
        self.study = study
        self.rows: dict[int, StoredTrial] = {}
        self.study_attrs: Mapping[str, Any] = {}

    def ask(self, fixed: Config | None = None) -> Proposal:
        proposal = self.study.ask(fixed)
        self.study_attrs = through_json(proposal.study_attrs)
        self._write(proposal.number, TrialState.RUNNING, proposal.params, None, {})
        return proposal

    def complete(self, proposal: Proposal, value: float) -> None:
        self.study.report(proposal.number, 1, value)
        self.study.tell(proposal.number, TrialState.COMPLETED, value)
        self._write(proposal.number, TrialState.COMPLETED, proposal.params, value, {1: value})

    def _write(
        self,
        number: int,
        state: TrialState,
        params: Config,
        value: float | None,
        reports: Mapping[int, float],
    ) -> None:
        self.rows[number] = StoredTrial(
            number=number,
            state=state,
            params=through_json(params),
            value=value,
            reports=reports,
            system_attrs=through_json(self.study.attrs(number)),
        )

    def restart(self, **same: Any) -> JobStudy:
        self.study = make_study(**same)
        self.study.rebuild(self.rows.values(), self.study_attrs)
        return self.study


def through_json(document: Any) -> Any:
    return json.loads(json.dumps(document, allow_nan=False))


def test_every_search_of_the_spec_is_described_and_made() -> None:
    fields = Search.model_fields
    assert set(get_args(fields["sampler"].annotation)) == set(searches.SAMPLERS)
    assert set(get_args(fields["pruner"].annotation)) == set(searches.PRUNERS)
    assert set(samplers.FACTORIES) == set(searches.SAMPLERS)
    assert set(pruners.FACTORIES) == set(searches.PRUNERS)


def test_trials_are_numbered_in_the_order_of_asks() -> None:
    study = make_study()
    numbers = [study.ask(fixed).number for fixed in (None, {}, None, {"lr": 0.01}, None)]
    assert numbers == [0, 1, 2, 3, 4]


def test_a_fixed_point_is_completed_by_the_defaults() -> None:
    proposal = make_study(MIXED).ask({"optimizer": "sgd", "lr": 0.01})
    assert proposal.params == {
        "lr": 0.01,
        "dropout": 0.1,
        "depth": 3,
        "optimizer": "sgd",
        "momentum": 0.9,
        "epochs": 9,
    }


def test_only_active_parameters_are_proposed() -> None:
    study = make_study(MIXED, sampler="random")
    for _ in range(40):
        params = study.ask().params
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        assert params["epochs"] == 9


@pytest.mark.parametrize("sampler", searches.SAMPLERS)
def test_every_sampler_stays_inside_a_conditional_space(sampler: str) -> None:
    study = make_study(MIXED, sampler=sampler)
    for _ in range(12):
        proposal = study.ask()
        assert MIXED.faults_of(proposal.params, "") == []
        assert MIXED.complete(proposal.params) == proposal.params
        study.tell(proposal.number, TrialState.COMPLETED, quality(proposal.params))


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_what_is_being_tried_is_not_proposed_once_more(sampler: str) -> None:
    six = arranged([Integer(name="depth", low=1, high=6, default=3)])
    study = make_study(six, sampler=sampler, duplicates="allow")
    assert len({study.ask(many_at_once=True).params["depth"] for _ in range(5)}) == 5
    assert [study.ask().number for _ in range(4)] == [5, 6, 7, 8], "where no other is left, it is"
    study.tell(0, TrialState.COMPLETED, 0.5)
    assert study.trials()[0].value == 0.5


def test_steps_that_do_not_fill_the_range_stay_on_their_grid() -> None:
    space = arranged(
        [
            Real(name="x", low=0.0, high=1.0, default=0.3, step=0.3),
            Integer(name="n", low=1, high=10, default=4, step=4),
        ]
    )
    study = make_study(space, sampler="random", duplicates="allow")
    drawn = [study.ask().params for _ in range(30)]
    assert {round(float(p["x"]), 6) for p in drawn} == {0.0, 0.3, 0.6, 0.9}
    assert {p["n"] for p in drawn} == {1, 5, 9}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_rebuilt_study_proposes_no_point_twice(sampler: str) -> None:
    # A Gaussian process takes its time, and is asked from the eleventh trial on.
    more = 3 if sampler == "gp" else 12
    ledger = Ledger(make_study(sampler=sampler))
    points = []
    for asks in (12, more):
        for _ in range(asks):
            proposal = ledger.ask()
            points.append(tuple(proposal.params.items()))
            ledger.complete(proposal, quality(proposal.params))
        ledger.restart(sampler=sampler)
    assert len(set(points)) == 12 + more
    assert [row.number for row in ledger.rows.values()] == list(range(12 + more))


@pytest.mark.parametrize("sampler", ["auto", "tpe", "gp", "cmaes"])
def test_a_rebuilt_study_still_keeps_away_from_running_trials(sampler: str) -> None:
    ledger = Ledger(make_study(sampler=sampler))
    for _ in range(12):
        proposal = ledger.ask()
        ledger.complete(proposal, quality(proposal.params))
    running = [tuple(ledger.ask().params.items()) for _ in range(2)]
    study = ledger.restart(sampler=sampler)
    more = [tuple(study.ask().params.items()) for _ in range(2)]
    assert len(set(running + more)) == 4


def test_the_quasi_random_sequence_goes_on_where_it_was() -> None:
    whole = Ledger(make_study(sampler="qmc"))
    cut = Ledger(make_study(sampler="qmc"))
    expected = []
    seen = []
    for _ in range(8):
        proposal = whole.ask()
        expected.append(proposal.params)
        whole.complete(proposal, quality(proposal.params))
    for _ in range(8):
        proposal = cut.ask()
        seen.append(proposal.params)
        cut.complete(proposal, quality(proposal.params))
        cut.restart(sampler="qmc")
    assert seen == expected


def test_a_genetic_search_keeps_its_generations_through_a_rebuild() -> None:
    ledger = Ledger(make_study(sampler="nsga2"))
    for _ in range(101):
        proposal = ledger.ask()
        ledger.complete(proposal, quality(proposal.params))
    assert ledger.rows[100].system_attrs["NSGAIISampler:generation"] == 2
    study = ledger.restart(sampler="nsga2")
    assert study.ask().system_attrs["NSGAIISampler:generation"] == 2
    parents = "NSGAIISampler:parent:2"
    assert study.study_attrs()[parents] == ledger.study_attrs[parents]


def test_an_evolution_strategy_keeps_its_state_through_a_rebuild() -> None:
    ledger = Ledger(make_study(sampler="cmaes"))
    for _ in range(30):
        proposal = ledger.ask()
        ledger.complete(proposal, quality(proposal.params))
    before = max(row.system_attrs.get("cma:generation", 0) for row in ledger.rows.values())
    after = ledger.restart(sampler="cmaes").ask().system_attrs["cma:generation"]
    assert before >= 3
    assert after >= before


def test_a_rebuilt_study_judges_as_the_one_before() -> None:
    values = [0.5, 0.4, 0.3, 0.9, 0.2, 0.6]
    study = make_study(pruner="asha", epochs=9)
    rows = []
    for value in values:
        proposal = study.ask()
        study.report(proposal.number, 1, value)
        study.should_prune(proposal.number, 1)
        rows.append(
            StoredTrial(
                number=proposal.number,
                state=TrialState.RUNNING,
                params=proposal.params,
                reports={1: value},
                system_attrs=study.attrs(proposal.number),
            )
        )
    rebuilt = make_study(pruner="asha", epochs=9)
    rebuilt.rebuild(rows, {})
    for each in (study, rebuilt):
        number = each.ask({}).number
        each.report(number, 1, 0.45)
        assert each.should_prune(number, 1).prune
        number = each.ask({}).number
        each.report(number, 1, 0.1)
        assert not each.should_prune(number, 1).prune


def test_a_hole_in_the_rows_keeps_the_numbers_equal() -> None:
    study = make_study()
    rows = [
        StoredTrial(
            number=n, state=TrialState.COMPLETED, params={"lr": 0.01, "dropout": 0.1}, value=1.0
        )
        for n in (0, 1, 4)
    ]
    study.rebuild(rows, {})
    assert study.ask().number == 5


def plain_objective(curve: Callable[[Config, int], float], epochs: int) -> Any:
    def objective(trial: optuna.Trial) -> float:
        params = {
            "lr": trial.suggest_float("lr", 1e-5, 1e-1, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        }
        for step in range(1, epochs + 1):
            trial.report(curve(params, step), step)
            if step < epochs and trial.should_prune():
                raise optuna.TrialPruned
        return curve(params, epochs)

    return objective


@pytest.mark.parametrize("direction", Direction)
def test_the_decisions_are_those_of_plain_optuna(direction: Direction) -> None:
    sign = 1 if direction is Direction.MINIMIZE else -1

    def curve(params: Config, step: int) -> float:
        return sign * (quality(params) + 1 / step)

    plain = optuna.create_study(
        direction=direction.value,
        sampler=optuna.samplers.TPESampler(seed=7),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3),
    )
    plain.optimize(plain_objective(curve, 20), n_trials=40)
    ours = make_study(sampler="tpe", pruner="asha", direction=direction, seed=7, epochs=20)
    decided = [outcome_of(ours, curve, 20) for _ in range(40)]
    assert decided == [
        (t.params, t.state == optuna.trial.TrialState.PRUNED, t.last_step) for t in plain.trials
    ]
    assert 5 < sum(pruned for _, pruned, _ in decided) < 40


def outcome_of(
    study: JobStudy, curve: Callable[[Config, int], float], epochs: int
) -> tuple[Config, bool, int]:
    """Carry one trial of `study` out: its parameters, whether it was pruned, its last step."""
    proposal = study.ask()
    for step in range(1, epochs + 1):
        study.report(proposal.number, step, curve(proposal.params, step))
        if study.should_prune(proposal.number, step).prune:
            study.tell(proposal.number, TrialState.PRUNED)
            return proposal.params, True, step
    study.tell(proposal.number, TrialState.COMPLETED, curve(proposal.params, epochs))
    return proposal.params, False, epochs


@pytest.mark.parametrize("pruner", [name for name in searches.PRUNERS if name != "none"])
def test_every_pruner_gives_up_what_is_hopeless_and_says_why(pruner: str) -> None:
    study = make_study(pruner=pruner, epochs=18)
    for _ in range(12):
        outcome_of(study, lambda params, step: 0.1 / step, 18)
    hopeless = study.ask({}).number
    whys = []
    for step in range(1, 19):
        study.report(hopeless, step, 5.0 + step)
        decision = study.should_prune(hopeless, step)
        if decision.prune:
            whys.append(decision.why)
            break
    assert [why.partition(":")[0] for why in whys] == [pruner]
    assert f"epoch {step}" in whys[0]


def test_without_a_pruner_nothing_is_given_up() -> None:
    study = make_study(pruner="none")
    for _ in range(8):
        outcome_of(study, lambda params, step: 0.1, 20)
    assert outcome_of(study, lambda params, step: 100.0, 20)[1] is False


def test_a_trial_in_its_last_epoch_is_not_given_up() -> None:
    study = make_study(pruner="asha", epochs=9)
    for value in (0.1, 0.9):
        number = study.ask().number
        study.report(number, 9, value)
        assert not study.should_prune(number, 9).prune


def test_a_repeated_step_is_not_judged_again() -> None:
    study = make_study(pruner="asha", epochs=9)
    good, bad = study.ask().number, study.ask().number
    study.report(good, 1, 0.1)
    study.should_prune(good, 1)
    study.report(bad, 3, 0.9)
    study.report(bad, 1, 0.9)
    assert not study.should_prune(bad, 1).prune
    assert study.should_prune(bad, 3).prune


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_report_that_is_not_finite_ends_the_trial_at_the_next_rung(value: float) -> None:
    study = make_study(pruner="asha", epochs=9)
    number = study.ask().number
    study.report(number, 1, value)
    decision = study.should_prune(number, 1)
    assert decision.prune
    assert "not a finite number" in decision.why
    study.tell(number, TrialState.PRUNED)
    json.dumps(study.attrs(number), allow_nan=False)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_completed_trial_without_a_finite_value_teaches_nothing(value: float | None) -> None:
    study = make_study()
    for _ in range(15):
        study.tell(study.ask().number, TrialState.COMPLETED, value)
    empty = make_study()
    drawn = [empty.ask().params for _ in range(16)]
    assert study.ask().params == drawn[15]


def test_a_second_word_on_a_finished_trial_changes_nothing() -> None:
    study = make_study(sampler="cmaes")
    number = study.ask().number
    study.tell(number, TrialState.FAILED)
    study.tell(number, TrialState.COMPLETED, 0.1)
    other = make_study(sampler="cmaes")
    other.tell(other.ask().number, TrialState.FAILED)
    assert study.ask() == other.ask()


def test_a_trial_cannot_end_as_running() -> None:
    study = make_study()
    with pytest.raises(ValueError, match="Trial 0 cannot end as running"):
        study.tell(study.ask().number, TrialState.RUNNING)


def test_a_failed_ask_leaves_the_study_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    study.ask()
    with monkeypatch.context() as broken:
        broken.setattr(optuna.Trial, "suggest_float", _broken)
        with pytest.raises(RuntimeError, match="no such luck"):
            study.ask()
        with pytest.raises(RuntimeError, match="no such luck"):
            study.ask({"lr": 0.01})
    assert study.ask({"lr": 0.02}).params["lr"] == 0.02
    assert study.ask().number == 2


def _broken(*args: object, **kwargs: object) -> float:
    raise RuntimeError("no such luck")


def shallow(config: Config) -> bool:
    return int(config["depth"]) <= 2 or config["optimizer"] == "adamw"


def test_an_infeasible_proposal_is_pulled_until_it_is_feasible() -> None:
    free = make_study(MIXED, sampler="random")
    drawn = [free.ask().params for _ in range(40)]
    assert not all(shallow(params) for params in drawn)
    bound = make_study(MIXED, sampler="random", feasible=shallow, default_config={"depth": 1})
    for unbound in drawn:
        params = bound.ask().params
        assert shallow(params)
        if shallow(unbound):
            assert params == unbound


def test_what_was_pulled_is_what_the_sampler_learns_from() -> None:
    study = make_study(MIXED, feasible=shallow, default_config={"depth": 1})
    ledger = Ledger(study)
    for _ in range(25):
        proposal = ledger.ask()
        ledger.complete(proposal, quality(proposal.params))
    rebuilt = make_study(MIXED, feasible=shallow, default_config={"depth": 1})
    rebuilt.rebuild(ledger.rows.values(), ledger.study_attrs)
    searched = [
        {k: v for k, v in row.params.items() if k != "epochs"} for row in ledger.rows.values()
    ]
    assert [t.params for t in study._study.trials] == searched
    assert [t.params for t in rebuilt._study.trials] == searched


def test_a_point_the_user_fixed_is_not_pulled() -> None:
    study = make_study(MIXED, feasible=shallow, default_config={"depth": 1})
    assert study.ask({"optimizer": "sgd", "depth": 6}).params["depth"] == 6


@settings(max_examples=100, deadline=None)
@given(
    lr=st.floats(1e-5, 1e-1),
    dropout=st.floats(0, 0.5),
    depth=st.integers(1, 6),
    optimizer=st.sampled_from(["sgd", "adamw"]),
    most=st.floats(0, 10),
)
def test_a_pull_ends_feasible_wherever_the_default_is(
    lr: float, dropout: float, depth: int, optimizer: str, most: float
) -> None:
    def feasible(config: Config) -> bool:
        cost = int(config["depth"]) + (3 if config["optimizer"] == "sgd" else 0)
        return cost + float(config["dropout"]) <= max(most, 1.0)

    default = MIXED.complete({"depth": 1, "dropout": 0.0})
    proposed = MIXED.complete(
        {"lr": lr, "dropout": dropout, "depth": depth, "optimizer": optimizer}
    )
    pulled = pulled_to_feasible(MIXED, proposed, default, feasible)
    assert feasible(pulled)
    assert MIXED.faults_of(pulled, "") == []
    if feasible(proposed):
        assert pulled == proposed


def points_of(proposal: Proposal) -> tuple[object, ...]:
    return tuple(proposal.params.items())


def test_a_grid_tries_everything_once_and_ends() -> None:
    study = make_study(MIXED, sampler="grid")
    seen = [points_of(study.ask()) for _ in range(WHOLE_GRID)]
    assert len(set(seen)) == WHOLE_GRID
    with pytest.raises(SpaceExhausted, match="job_01TEST"):
        study.ask()
    with pytest.raises(SpaceExhausted):
        study.ask()
    assert study.ask({}).number == WHOLE_GRID


def test_a_rebuilt_grid_repeats_nothing_and_leaves_nothing_out() -> None:
    ledger = Ledger(make_study(MIXED, sampler="grid"))
    start = ledger.ask({"lr": 1e-5, "dropout": 0.0, "optimizer": "sgd", "momentum": 0.0})
    seen = {points_of(start)}
    for part in (12, 500, WHOLE_GRID - 513):
        seen |= {points_of(ledger.ask()) for _ in range(part)}
        ledger.restart(space=MIXED, sampler="grid")
    assert len(seen) == WHOLE_GRID
    with pytest.raises(SpaceExhausted):
        ledger.ask()


def test_a_grid_leaves_out_what_is_not_feasible() -> None:
    study = make_study(MIXED, sampler="grid", feasible=shallow, default_config={"depth": 1})
    seen = [study.ask().params for _ in range(5 * 5 * (6 + 2 * 5))]
    assert all(shallow(params) for params in seen)
    with pytest.raises(SpaceExhausted):
        study.ask()


def test_a_huge_grid_is_never_written_out() -> None:
    space = arranged([Real(name=f"x{i}", low=0, high=1, default=0) for i in range(40)])
    grid = Grid(space, seed=1)
    assert grid.size == 5**40
    first = [tuple(point.values()) for point, _ in zip(grid, range(1000), strict=False)]
    assert len(set(first)) == 1000


def test_a_wide_grid_keeps_the_ends_of_each_range() -> None:
    space = arranged([Integer(name="width", low=16, high=512, default=64, log=True)])
    assert sorted(p["width"] for p in Grid(space, seed=0)) == [16, 38, 91, 215, 512]


def test_asks_in_one_thread_do_not_disturb_reports_in_another() -> None:
    study = make_study(MIXED, sampler="tpe", pruner="hyperband", epochs=9)
    asked: Queue[Proposal] = Queue()

    def ask_all() -> None:
        for _ in range(60):
            asked.put(study.ask())

    numbers = []
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_all)
        for _ in range(60):
            proposal = asked.get(timeout=60)
            numbers.append(proposal.number)
            study.report(proposal.number, 1, quality(proposal.params))
            pruned = study.should_prune(proposal.number, 1).prune
            state = TrialState.PRUNED if pruned else TrialState.COMPLETED
            study.tell(proposal.number, state, quality(proposal.params))
        asking.result()
    assert numbers == list(range(60))
    ended = {trial.state for trial in study._study.trials}
    assert ended == {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}


def test_attributes_are_plain_json() -> None:
    for sampler in searches.SAMPLERS:
        study = make_study(MIXED, sampler=sampler, pruner="asha", epochs=9)
        for _ in range(12):
            proposal = study.ask()
            study.report(proposal.number, 1, quality(proposal.params))
            study.should_prune(proposal.number, 1)
            study.tell(proposal.number, TrialState.COMPLETED, quality(proposal.params))
            assert through_json(study.attrs(proposal.number)) == study.attrs(proposal.number)
        assert through_json(study.study_attrs()) == study.study_attrs()


def test_of_a_trial_without_room_the_sampler_learns_a_violated_constraint() -> None:
    ledger = Ledger(make_study())
    first, second = ledger.ask(), ledger.ask()
    ledger.complete(first, 0.5)
    ledger.study.tell(second.number, TrialState.FAILED, infeasible=True)
    ledger.rows[second.number] = replace(
        ledger.rows[second.number], state=TrialState.FAILED, infeasible=True
    )
    live = ledger.study._study.trials
    assert [trial.constraints for trial in live] == [{}, {"room": 1.0}]
    assert [trial.state.name for trial in live] == ["COMPLETE", "PRUNED"]
    again = ledger.restart()._study.trials
    assert [(t.state, t.params, t.constraints) for t in again] == [
        (t.state, t.params, t.constraints) for t in live
    ]


def test_tpe_keeps_away_from_where_there_is_no_room() -> None:
    """Of 60 trials, all of those with a dropout above 0.25 violate the constraint."""

    def share_without_room(heeded: bool) -> float:
        study = make_study(sampler="tpe", seed=3)
        without = 0
        for _ in range(60):
            proposal = study.ask()
            room = float(proposal.params["dropout"]) <= 0.25
            if room:
                # Better and better towards the part that has no room.
                study.tell(
                    proposal.number, TrialState.COMPLETED, -float(proposal.params["dropout"])
                )
            else:
                study.tell(proposal.number, TrialState.FAILED, infeasible=heeded)
                without += proposal.number >= 20
        return without / 40

    assert share_without_room(True) < share_without_room(False) / 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on_after_a_trial_without_room(sampler: str) -> None:
    study = make_study(sampler=sampler)
    for _ in range(14):
        proposal = study.ask()
        if proposal.number % 2:
            study.tell(proposal.number, TrialState.FAILED, infeasible=True)
        else:
            study.tell(proposal.number, TrialState.COMPLETED, quality(proposal.params))
