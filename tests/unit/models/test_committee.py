"""Cross-validation: a network for each fold, judged and taken away together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.catalog import ConfigRefused, DataSource
from models.data.loading import Dataset, load
from models.exported.export import load_model, save_model
from models.exported.predict import predict
from models.recipe import Recipe
from models.training.checkpoint import load_checkpoint, save_checkpoint
from models.training.committee import fold, folds_in
from models.training.entry import usual_folds
from models.training.evaluate import evaluate
from models.training.members import Members
from models.training.train import Epoch, train

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def wine(cache_dir: Path) -> Dataset:
    return load("wine", cache_dir=cache_dir)


@pytest.fixture(scope="module")
def recipe(make_recipe: MakeRecipe) -> Recipe:
    return make_recipe(data=DataSource(name="wine"), config={"folds": 3, "dropout": 0.1}, epochs=4)


def curve(epochs: list[Epoch]) -> list[dict[str, float]]:
    timed = {"seconds", "samples_per_second"}
    return [{k: v for k, v in e.metrics.items() if k not in timed} for e in epochs]


def same(left: Any, right: Any) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_every_row_validates_once_and_learns_in_all_other_folds(wine: Dataset) -> None:
    parts = [fold(wine, number, of=4) for number in range(4)]
    rows = torch.cat([wine.train.inputs, wine.val.inputs])
    validated = torch.cat([part.val.inputs for part in parts])
    assert sorted(map(tuple, validated.tolist())) == sorted(map(tuple, rows.tolist()))
    for part in parts:
        own = torch.cat([part.train.inputs, part.val.inputs])
        assert sorted(map(tuple, own.tolist())) == sorted(map(tuple, rows.tolist()))
        assert (part.shape.train_rows, part.shape.val_rows) == (part.train.rows, part.val.rows)
        assert part.test is wine.test


def test_every_fold_has_its_share_of_each_class_and_of_large_numbers(
    wine: Dataset, cache_dir: Path
) -> None:
    counts = [fold(wine, number, of=5).val.labels.bincount() for number in range(5)]
    assert all((counts[0] - other).abs().max() <= 1 for other in counts)
    diabetes = load("diabetes", cache_dir=cache_dir)
    means = [fold(diabetes, number, of=5).val.labels.mean() for number in range(5)]
    assert max(means) - min(means) < 0.1 * diabetes.train.labels.std()


def test_folds_are_usual_where_few_rows_validate_and_nothing_divides_them(
    wine: Dataset, digits: Dataset
) -> None:
    assert usual_folds(wine.shape) == 5
    assert usual_folds(digits.shape) == 1, "images are divided as they come"
    assert usual_folds(replace(wine.shape, exchangeable=False)) == 1
    assert usual_folds(replace(wine.shape, val_rows=200)) == 1
    assert usual_folds(replace(wine.shape, class_rows=(50, 3, 40))) == 3


def test_impossible_folds_are_refused(
    make_recipe: MakeRecipe, wine: Dataset, digits: Dataset
) -> None:
    with pytest.raises(ConfigRefused, match="folds = 3 needs rows that may validate or learn"):
        folds_in(make_recipe(config={"folds": 3}), digits)
    with pytest.raises(ConfigRefused, match="folds = 100 is more than there are rows"):
        folds_in(make_recipe(config={"folds": 100}), replace(wine, val=wine.val, train=wine.val))


def test_metrics_are_the_means_of_the_members(wine: Dataset, recipe: Recipe) -> None:
    committee = curve(list(train(recipe, wine)))
    members = []
    for number in range(3):
        config = {**recipe.config, "folds": 1}
        alone = replace(recipe, config=config, seed=recipe.seed + number * 1_000_003)
        members.append(curve(list(train(alone, fold(wine, number, of=3)))))
    for epoch, metrics in enumerate(committee):
        for name, value in metrics.items():
            assert value == pytest.approx(sum(each[epoch][name] for each in members) / 3)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_committee_repeats_and_resumes_to_the_last_bit(
    schedule: str, wine: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = replace(recipe, config={**recipe.config, "schedule": schedule, "averaging": "ema"})
    whole, checkpoints = [], []
    for epoch in train(recipe, wine):
        whole.append(epoch)
        checkpoints.append(epoch.checkpoint())
    assert list(checkpoints[-1].curve) == [epoch.metrics for epoch in whole]
    assert curve(list(train(recipe, wine))) == curve(whole)
    save_checkpoint(tmp_path / "epoch2", checkpoints[1])
    resumed = load_checkpoint(tmp_path / "epoch2")
    for epoch in train(recipe, wine, resume=resumed):
        assert curve([epoch]) == curve([whole[epoch.index - 1]])
        assert same(epoch.checkpoint().tensors, checkpoints[epoch.index - 1].tensors)
        assert len(epoch.checkpoint().curve) == epoch.index


@pytest.mark.parametrize("averaging", ["none", "ema"])
def test_what_is_taken_away_answers_as_all_members_do(
    averaging: str, wine: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = replace(recipe, config={**recipe.config, "averaging": averaging}, epochs=15)
    *_, last = train(recipe, wine)
    save_model(tmp_path / "model", last.checkpoint())
    network = load_model(tmp_path / "model")
    assert isinstance(network, Members)
    assert len(network.members) == 3
    assert wine.test is not None
    answers = torch.stack([member(wine.test.inputs) for member in network.members])
    torch.testing.assert_close(network(wine.test.inputs), answers.mean(0))
    assert evaluate(network, wine, "test")["accuracy"] > 0.8


def test_a_committee_answers_raw_rows(wine: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    *_, last = train(recipe, wine)
    save_model(tmp_path / "model", last.checkpoint())
    document = wine.preparation.to_json()["table"]
    names = [column["name"] for column in document["columns"]]
    (tmp_path / "rows.csv").write_text(
        ",".join(names) + "\n" + ",".join("13" for _ in names) + "\n"
    )
    answers = predict(tmp_path / "model", tmp_path / "rows.csv")
    assert len(answers.values) == 1
    assert sum(shares[0] for shares in answers.probabilities.values()) == pytest.approx(1)
