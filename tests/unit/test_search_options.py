"""What samplers and pruners are told, and what of it is refused."""

from typing import Any

import pytest

from tests.factories import NOON, make_spec
from tests.studies import study_of
from tests.unit.scheduler.world import make_job
from tuner.errors import SpecInvalid
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.planning.foreign import resolve_command, resolve_objective
from tuner.planning.resolve import resolve
from tuner.scheduler.state import Attempt
from tuner.search.grid import SpaceExhausted
from tuner.search.pruners import decisive_steps, make_pruner
from tuner.search.samplers import make_sampler
from tuner.search_options import PRUNER_OPTIONS, SAMPLER_OPTIONS
from tuner.settings import Settings
from tuner.slots import Slot
from tuner.spec import CommandSpec, ObjectiveSpec, TrainingSpec, parse_spec
from tuner.states import TrialState

SPACE = {"x": {"float": [0.0, 1.0]}, "n": {"int": [1, 8]}}
#: A value of each kind of option that is none of Optuna's defaults.
SAMPLES: dict[str, Any] = {
    "n_startup_trials": 3,
    "n_ei_candidates": 5,
    "multivariate": True,
    "group": True,
    "qmc_type": "halton",
    "scramble": False,
    "popsize": 6,
    "deterministic_objective": True,
    "population_size": 4,
    "min_resource": 2,
    "reduction_factor": 2,
    "n_warmup_steps": 4,
    "patience": 1,
    "lower": -1.0,
    "upper": 3,
}


def command(search: dict[str, Any], **others: Any) -> Any:
    spec = {"command": ["x"], "metric": "val_loss", "space": SPACE, "search": search, **others}
    return CommandSpec.parse(spec)


def refused(search: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(SpecInvalid) as caught:
        command(search)
    (fault,) = caught.value.faults
    return fault.pointer, fault.detail


@pytest.mark.parametrize(
    ("search", "pointer", "detail"),
    [
        (
            {"sampler": "tpe", "sampler_options": {"n_startup_trial": 3}},
            "/search/sampler_options",
            "search.sampler_options = {'n_startup_trial': 3}: tpe takes no 'n_startup_trial', did "
            "you mean 'n_startup_trials'.",
        ),
        (
            {"sampler": "random", "sampler_options": {"popsize": 3}},
            "/search/sampler_options",
            "random takes no 'popsize', leave it out.",
        ),
        (
            {"sampler_options": {"n_ei_candidates": 0}},
            "/search/sampler_options",
            "n_ei_candidates = 0 must be a whole number from 1 to 10000.",
        ),
        (
            {"sampler_options": {"n_ei_candidates": True}},
            "/search/sampler_options",
            "n_ei_candidates = True must be a whole number from 1 to 10000.",
        ),
        (
            {"sampler_options": {"group": 1}},
            "/search/sampler_options",
            "group = 1 must be true or false.",
        ),
        (
            {"sampler_options": {"group": True, "multivariate": False}},
            "/search/sampler_options",
            "group wants multivariate; leave out one of them.",
        ),
        (
            {"sampler": "qmc", "sampler_options": {"qmc_type": "sobel"}},
            "/search/sampler_options",
            "qmc_type = 'sobel' must be sobol or halton.",
        ),
        (
            {"pruner": "asha", "pruner_options": {"reduction_factor": 1}},
            "/search/pruner_options",
            "reduction_factor = 1 must be a whole number from 2 to",
        ),
        (
            {"pruner": "none", "pruner_options": {"patience": 1}},
            "/search/pruner_options",
            "none takes no 'patience', leave it out.",
        ),
        (
            {"pruner": "threshold"},
            "/search",
            "threshold wants lower or upper in pruner_options: values beyond them end a trial.",
        ),
        (
            {"pruner": "threshold", "pruner_options": {"lower": "a"}},
            "/search/pruner_options",
            "lower = 'a' must be a finite number.",
        ),
        (
            {"pruner": "threshold", "pruner_options": {"upper": 10**400}},
            "/search/pruner_options",
            "must be a finite number.",
        ),
        (
            {"pruner": "median", "pruner_options": {"n_warmup_steps": 2**31}},
            "/search/pruner_options",
            "must be a whole number from 0 to 2147483647.",
        ),
        (
            {"pruner": "threshold", "pruner_options": {"lower": 2, "upper": 1}},
            "/search/pruner_options",
            "lower must not be above upper; swap them.",
        ),
    ],
)
def test_what_cannot_be_is_refused(search: dict[str, Any], pointer: str, detail: str) -> None:
    found_pointer, found_detail = refused(search)
    assert found_pointer == pointer
    assert detail in found_detail


def test_an_unknown_name_is_the_only_fault_where_it_has_options() -> None:
    pointer, detail = refused({"sampler": "tpee", "sampler_options": {"seed": 3}})
    assert pointer == "/search/sampler"
    assert "'tpee'" in detail


def test_options_survive_json() -> None:
    search = {"sampler": "nsga3", "sampler_options": {"population_size": 8}, "duplicates": "allow"}
    spec = command({**search, "pruner": "threshold", "pruner_options": {"upper": 3e12}})
    assert parse_spec(spec.to_json()) == spec


OPTIONS = [(name, option) for name, known in SAMPLER_OPTIONS.items() for option in known]


@pytest.mark.parametrize(("sampler", "option"), OPTIONS)
def test_every_option_of_a_sampler_reaches_it(sampler: str, option: str) -> None:
    same = {"space": study_of(SPACE).space, "seed": 1, "number": 0}
    plain = make_sampler(sampler, **same)
    told = make_sampler(sampler, **same, options={option: SAMPLES[option]})
    assert type(told) is type(plain)
    if (sampler, option) not in {("auto", "multivariate"), ("tpe", "multivariate")}:
        assert settings_of(told) != settings_of(plain)
    study = study_of(SPACE, sampler=sampler, sampler_options={option: SAMPLES[option]})
    for number in range(12):
        study.tell(study.ask().number, TrialState.COMPLETED, number % 5)


def settings_of(thing: Any, depth: int = 3) -> Any:
    """The plain attributes of what Optuna made, and of its parts."""
    if isinstance(thing, bool | int | float | str | type(None)):
        return thing
    if depth == 0 or not hasattr(thing, "__dict__"):
        return type(thing).__name__
    return {name: settings_of(value, depth - 1) for name, value in vars(thing).items()}


OF_PRUNERS = [(name, option) for name, known in PRUNER_OPTIONS.items() for option in known]


@pytest.mark.parametrize(("pruner", "option"), OF_PRUNERS)
@pytest.mark.parametrize("epochs", [9, None])
def test_every_option_of_a_pruner_reaches_it(pruner: str, option: str, epochs: int | None) -> None:
    base = {"lower": -5.0} if pruner == "threshold" else {}
    plain = make_pruner(pruner, epochs=epochs, options=base)
    told = make_pruner(pruner, epochs=epochs, options={**base, option: SAMPLES[option]})
    assert type(told) is type(plain)
    assert settings_of(told) != settings_of(plain)


@pytest.mark.parametrize(
    ("pruner", "options", "steps"),
    [
        ("asha", {"min_resource": 2}, (2, 6, 18)),
        ("asha", {"reduction_factor": 2}, (3, 6, 12)),
        ("asha", {"min_resource": 30}, ()),
        ("hyperband", {"min_resource": 4, "reduction_factor": 2}, (4, 8, 16)),
        ("median", {"n_warmup_steps": 17}, (17, 18, 19, 20)),
        ("patient", {"n_warmup_steps": 19}, (19, 20)),
        ("threshold", {"upper": 1.0}, tuple(range(1, 21))),
        ("threshold", {"upper": 1.0, "n_warmup_steps": 20}, (20,)),
    ],
)
def test_the_decisive_steps_are_those_of_the_options(
    pruner: str, options: dict[str, Any], steps: tuple[int, ...]
) -> None:
    assert decisive_steps(pruner, epochs=20, options=options) == steps
    for step in range(1, 21):
        assert (step in steps) >= gives_up_at(pruner, options, step)
    assert any(gives_up_at(pruner, options, step) for step in range(1, 20)) == bool(steps[:-1])


def test_a_worker_waits_at_the_steps_of_the_options() -> None:
    search = {"pruner": "asha", "pruner_options": {"min_resource": 2, "reduction_factor": 4}}
    spec = TrainingSpec.parse(make_spec(search=search, budget={"epochs": 10}))
    live = LiveJob(spec=spec, plan=resolve(spec, ()), job=make_job(budget=spec.budget), slots=1)
    attempt = Attempt(
        id=1,
        job=1,
        trial=None,
        slot=Slot(cpus=1.0),
        started=NOON,
        last_progress=NOON,
        last_record=NOON,
        slot_since=NOON,
    )
    assert start_order(attempt, live, Settings()).decisive == (2, 8)


def gives_up_at(pruner: str, options: dict[str, Any], step: int) -> bool:
    """Whether a hopeless trial is given up at its report of `step`, which follows all before."""
    study = study_of(SPACE, pruner=pruner, pruner_options=options)
    for _ in range(8):
        good = study.ask().number
        for each in range(1, 21):
            study.report(good, each, 0.1 / each)
            study.should_prune(good, each)
        study.tell(good, TrialState.COMPLETED, 0.0)
    hopeless = study.ask().number
    pruned = False
    for each in range(1, step + 1):
        study.report(hopeless, each, 5.0 + each)
        pruned = study.should_prune(hopeless, each).prune
    return pruned


def test_a_threshold_says_what_it_gives_up() -> None:
    study = study_of(SPACE, pruner="threshold", pruner_options={"lower": 0.0, "upper": 1.0})
    number = study.ask().number
    study.report(number, 1, 0.5)
    assert not study.should_prune(number, 1).prune
    study.report(number, 2, 1.5)
    decision = study.should_prune(number, 2)
    assert decision.prune
    assert decision.why == "threshold: 1.5 in epoch 2 is beyond what pruner_options allow"


def test_a_genetic_search_has_generations_of_the_size_it_is_told() -> None:
    for sampler, name in (("nsga2", "NSGAIISampler"), ("nsga3", "NSGAIIISampler")):
        study = study_of(SPACE, sampler=sampler, sampler_options={"population_size": 4})
        for number in range(5):
            proposal = study.ask()
            study.tell(number, TrialState.COMPLETED, float(proposal.params["x"]))
        assert study.attrs(4)[f"{name}:generation"] == 1


def plan_refused(make: Any) -> tuple[str, str]:
    with pytest.raises(SpecInvalid) as caught:
        make()
    (fault,) = caught.value.faults
    return fault.pointer, fault.detail


def test_a_first_rung_lies_within_the_budget() -> None:
    search = {"pruner": "hyperband", "pruner_options": {"min_resource": 30}}
    assert plan_refused(lambda: resolve_command(command(search), allowed=True)) == (
        "/search/pruner_options/min_resource",
        "search.pruner_options.min_resource = 30: it is more than budget.epochs = 20; lower it.",
    )
    longer = command(search, budget={"epochs": 30})
    assert resolve_command(longer, allowed=True).space.names == ("x", "n")


def test_of_an_objective_nobody_knows_how_long_it_is() -> None:
    document = {"objective": "mypkg.tuning:train", "space": SPACE}
    search = {"pruner": "hyperband", "pruner_options": {"min_resource": 3}}
    spec = ObjectiveSpec.parse({**document, "search": search})
    pointer, detail = plan_refused(lambda: resolve_objective(spec, ("mypkg",)))
    assert pointer == "/search/pruner_options/min_resource"
    assert "nobody knows how many steps an objective has; leave it out, or take asha." in detail
    spec = ObjectiveSpec.parse({**document, "search": {**search, "pruner": "asha"}})
    assert resolve_objective(spec, ("mypkg",)).space.names == ("x", "n")


def test_brute_force_tries_every_value_of_every_range() -> None:
    space = {
        "n": {"int": [1, 30]},
        "x": {"float": [0.0, 0.3], "step": 0.1, "when": {"n": [1, 2]}},
        "norm": {"choice": ["a", "b"]},
    }
    study = study_of(space, sampler="brute_force", constraints=["n != 15 or norm == 'a'"])
    seen = {tuple(study.ask().params.values()) for _ in range(2 * 2 * 4 + 28 * 2 - 1)}
    assert len(seen) == 2 * 2 * 4 + 28 * 2 - 1
    with pytest.raises(SpaceExhausted):
        study.ask()


@pytest.mark.parametrize(
    ("space", "why"),
    [
        (
            {"x": {"float": [0, 1]}, "n": {"int": [1, 3]}},
            "x is float in [0, 1], of which there is no end; give it a step, or a choice of value",
        ),
        (
            {"n": {"int": [1, 10**6]}, "m": {"int": [1, 2], "when": {"n": 3}}},
            "others depend on n, and these have 1,000,000 values together; leave at most 10,000",
        ),
        ({"n": {"int": [0, 10**30]}}, "of which there is no end"),
    ],
)
def test_brute_force_is_refused_where_there_is_no_end(space: dict[str, Any], why: str) -> None:
    spec = command({"sampler": "brute_force"}, space=space)
    pointer, detail = plan_refused(lambda: resolve_command(spec, allowed=True))
    assert pointer == "/search/sampler"
    assert why in detail


def test_brute_force_of_a_vast_space_is_never_written_out() -> None:
    study = study_of({f"n{i}": {"int": [1, 10**9]} for i in range(20)}, sampler="brute_force")
    assert len({tuple(study.ask().params.values()) for _ in range(50)}) == 50


def test_an_objective_that_suggests_its_parameters_has_no_grid() -> None:
    spec = ObjectiveSpec.parse({"objective": "mypkg.t:f", "search": {"sampler": "brute_force"}})
    pointer, detail = plan_refused(lambda: resolve_objective(spec, ("mypkg",)))
    assert pointer == "/search/sampler"
    assert detail.startswith("search.sampler = 'brute_force': it wants to know all parameters")
