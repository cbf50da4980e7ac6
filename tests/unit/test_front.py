"""The Pareto front: what nothing else is better than in everything."""

import optuna
from hypothesis import given
from hypothesis import strategies as st

from tuner.service.front import pareto_front
from tuner.states import Direction

POINTS = st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 3), max_size=40)
WAYS = st.tuples(*[st.sampled_from(Direction)] * 3)


@given(points=POINTS, ways=WAYS)
def test_it_is_optunas(points: list[tuple[float, ...]], ways: tuple[Direction, ...]) -> None:
    study = optuna.create_study(directions=[way.value for way in ways])
    study.add_trials([optuna.create_trial(values=point) for point in points])
    ours = pareto_front(dict(enumerate(points)), ways)
    assert sorted(ours) == sorted(trial.number for trial in study.best_trials)


def test_the_best_by_the_first_metric_comes_first() -> None:
    values = {0: (1.0, 5.0), 1: (3.0, 3.0), 2: (2.0, 4.0), 3: (0.0, 0.0)}
    ways = (Direction.MAXIMIZE, Direction.MAXIMIZE)
    assert pareto_front(values, ways) == [1, 2, 0]
