"""Tables as data sets, the networks that take them, and what those say of raw rows."""

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.build import build_model
from models.catalog import DataRefused, DataShape, DataSource
from models.data.loading import load
from models.entries import catalog
from models.exported.export import save_model
from models.exported.predict import predict
from models.networks.mlp_entry import embedding_size
from models.recipe import Recipe
from models.training.train import train

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 customers: who buys follows from the income, and the other way round in one city."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("root") / "shops.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "age", "city", "joined", "income", "bought"])
        for number in range(600):
            city, income = rng.choice(("Rome", "Oslo", "Paris")), rng.gauss(30_000, 9_000)
            buys = (income > 30_000) != (city == "Oslo")
            age = rng.choice(("", rng.randint(18, 90), rng.randint(18, 90)))
            day = f"20{rng.randint(10, 24)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}"
            rows.writerow([number, age, city, day, f"{income:.2f}", "yes" if buys else "no"])
    return path


def source(**options: object) -> DataSource:
    return DataSource(name="csv", path="shops.csv", options={"target": "bought"} | options)


def test_inspection_foretells_a_table(shops: Path, tmp_path: Path) -> None:
    roots = (str(shops.parent),)
    loaded = load(source(), roots=roots, cache_dir=tmp_path)
    assert catalog().data["csv"].inspect(source(), roots) == loaded.shape
    assert loaded.shape.kind == "table"
    assert loaded.shape.categories == (4,)
    assert loaded.train.inputs.shape == (384, *loaded.shape.input_shape)
    assert loaded.train.rows + loaded.val.rows + loaded.split("test").rows == 600


def test_columns_are_explained_in_a_sentence_each(shops: Path) -> None:
    sentences = catalog().data["csv"].explain(source(), (str(shops.parent),))
    assert sentences[0] == "Column 'bought' (text): target: 2 classes, no, yes."
    assert "Column 'number' (integer): left out (numbers the rows)." in sentences
    assert "Column 'city' (text): category with 3 values." in sentences
    assert any(
        "'age' (integer, 3" in s and "% missing): number and whether" in s for s in sentences
    )


def test_what_is_said_of_a_table_is_part_of_which_data_it_is(shops: Path, tmp_path: Path) -> None:
    roots = (str(shops.parent),)
    plain = load(source(), roots=roots, cache_dir=tmp_path)
    without = load(source(ignore=["city"]), roots=roots, cache_dir=tmp_path)
    assert without.shape.categories == ()
    assert without.fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "bougt"}, "target names column 'bougt', .*; did you mean 'bought'?"),
        ({"test": "much"}, "test = 'much' must be a share, such as 0.2."),
        ({"ignore": 3}, "ignore = 3 must be a list of columns."),
        ({"group": 7}, "group = 7 must be text."),
    ],
)
def test_what_cannot_be_said_of_a_table_is_refused(
    shops: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataRefused, match=message):
        catalog().data["csv"].inspect(source(**options), (str(shops.parent),))


def test_a_table_without_file_or_target_says_what_to_write(shops: Path) -> None:
    inspect = catalog().data["csv"].inspect
    with pytest.raises(DataRefused, match=r"write data: \{csv: FILE, target: COLUMN\}"):
        inspect(DataSource(name="csv"), ())
    with pytest.raises(DataRefused, match=r"no column to predict; write data: \{csv: shops.csv, "):
        inspect(DataSource(name="csv", path="shops.csv"), (str(shops.parent),))


@pytest.mark.parametrize("model", ["mlp", "transformer"])
@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris"])
def test_a_small_network_learns_a_bundled_table(
    name: str, model: str, make_recipe: MakeRecipe, cache_dir: Path
) -> None:
    data = load(name, cache_dir=cache_dir)
    recipe = make_recipe(model, data=DataSource(name=name), epochs=15)
    first, *_, last = train(recipe, data)
    assert last.metrics["train_loss"] < 0.5 * first.metrics["train_loss"]
    assert last.metrics["val_accuracy"] > 0.85


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("mlp", {"number_embedding": "none"}),
        ("mlp", {"number_embedding": "periodic"}),
        ("transformer", {"depth": 2}),
    ],
)
def test_an_interaction_of_number_and_category_is_learned(
    model: str, config: dict[str, Any], make_recipe: MakeRecipe, shops: Path, tmp_path: Path
) -> None:
    data = load(source(), roots=(str(shops.parent),), cache_dir=tmp_path)
    recipe = make_recipe(model, data=source(), epochs=25, config=config)
    *_, last = train(recipe, data)
    assert last.metrics["val_accuracy"] > 0.9


@pytest.mark.parametrize("embedding", ["none", "periodic"])
def test_parameters_of_embeddings_are_counted(embedding: str) -> None:
    shape = DataShape(
        kind="table",
        input_shape=(7,),
        categories=(3, 40),
        classes=2,
        train_rows=100,
        val_rows=20,
        test_rows=0,
        labels=(0, 1),
    )
    config = {"number_embedding": embedding, "depth": 2, "width": 16}
    module = build_model("mlp", config, shape)
    counted = sum(layer.parameters for layer in catalog().models["mlp"].layers(config, shape))
    assert counted == sum(parameter.numel() for parameter in module.parameters())
    rows = torch.cat([torch.randn(5, 5), torch.tensor([[0.0, 39.0]]).expand(5, 2)], 1)
    assert module(rows).shape == (5, 2)


def test_more_codes_get_longer_vectors_up_to_a_bound() -> None:
    sizes = [embedding_size(codes) for codes in (2, 3, 10, 100, 10_000)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (2, 32)


def test_an_exported_network_takes_raw_rows(
    make_recipe: MakeRecipe, shops: Path, tmp_path: Path
) -> None:
    data = load(source(), roots=(str(shops.parent),), cache_dir=tmp_path)
    *_, last = train(make_recipe(data=source(), epochs=25), data)
    save_model(tmp_path / "model", last.checkpoint())
    table = list(csv.DictReader(shops.read_text().splitlines()))
    with (tmp_path / "new.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, [name for name in reversed(table[0]) if name != "bought"])
        rows.writeheader()
        rows.writerows({k: v for k, v in row.items() if k != "bought"} for row in table)
    answers = predict(tmp_path / "model", tmp_path / "new.csv")
    truth = [row["bought"] for row in table]
    right = sum(answer == true for answer, true in zip(answers.values, truth, strict=True))
    assert right > 0.9 * len(truth)
    shares = zip(answers.probabilities["no"], answers.probabilities["yes"], strict=True)
    assert all(no + yes == pytest.approx(1) for no, yes in shares)


@pytest.mark.parametrize(("loss", "named"), [("bce", {"no", "yes"}), ("multi_margin", set())])
def test_predictions_have_the_probabilities_the_loss_knows(
    loss: str, named: set[str], make_recipe: MakeRecipe, shops: Path, tmp_path: Path
) -> None:
    data = load(source(), roots=(str(shops.parent),), cache_dir=tmp_path)
    (only,) = train(make_recipe(data=source(), loss=loss, epochs=1), data)
    save_model(tmp_path / "model", only.checkpoint())
    answers = predict(tmp_path / "model", shops)
    assert answers.probabilities.keys() == named
    assert {*answers.values} <= {"no", "yes"}
    if named:
        likelier = [max(row) for row in zip(*answers.probabilities.values(), strict=True)]
        chosen = [answers.probabilities[str(v)][i] for i, v in enumerate(answers.values)]
        assert chosen == likelier


def test_rows_without_a_column_that_was_trained_with_are_refused(
    make_recipe: MakeRecipe, shops: Path, tmp_path: Path
) -> None:
    data = load(source(), roots=(str(shops.parent),), cache_dir=tmp_path)
    (only,) = train(make_recipe(data=source(), epochs=1), data)
    save_model(tmp_path / "model", only.checkpoint())
    (tmp_path / "new.csv").write_text("age,city,joined\n30,Rome,2020-01-01\n")
    with pytest.raises(DataRefused, match="trained with column 'income'"):
        predict(tmp_path / "model", tmp_path / "new.csv")


def test_an_exported_network_of_images_takes_bytes(
    make_recipe: MakeRecipe, cache_dir: Path, tmp_path: Path
) -> None:
    digits = load("digits", cache_dir=cache_dir)
    *_, last = train(make_recipe("convnet", epochs=6), digits)
    save_model(tmp_path / "model", last.checkpoint())
    np.save(tmp_path / "images.npy", digits.val.inputs.numpy())
    answers = predict(tmp_path / "model", tmp_path / "images.npy")
    right = sum(a == b for a, b in zip(answers.values, digits.val.labels.tolist(), strict=True))
    assert right / digits.val.rows == pytest.approx(last.metrics["val_accuracy"])
    np.save(tmp_path / "wrong.npy", np.zeros((3, 8, 8), dtype=np.float32))
    with pytest.raises(DataRefused, match=r"holds float32 of shape \(3, 8, 8\); the network takes"):
        predict(tmp_path / "model", tmp_path / "wrong.npy")


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "poisson"])
def test_numbers_are_learned_and_predicted_in_their_own_unit(
    loss: str, make_recipe: MakeRecipe, cache_dir: Path, tmp_path: Path
) -> None:
    diabetes = DataSource(name="diabetes")
    data = load(diabetes, cache_dir=cache_dir)
    # The target's mean is 152, and its logarithm far from where a network begins.
    epochs, least = (80, 0.05) if loss == "poisson" else (20, 0.3)
    *_, last = train(make_recipe(data=diabetes, loss=loss, epochs=epochs), data)
    assert last.metrics["val_r2"] > least
    # The target's standard deviation is 77.
    assert 40 < last.metrics["val_rmse"] < 77
    save_model(tmp_path / "model", last.checkpoint())
    names = "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6"
    (tmp_path / "new.csv").write_text(f"{names}\n59,2,32.1,101,157,93.2,38,4,4.8598,87\n")
    (value,) = predict(tmp_path / "model", tmp_path / "new.csv").values
    assert isinstance(value, float)
    assert 80 < value < 320


def test_trials_of_other_scalings_learn_from_the_same_rows_prepared_otherwise(
    make_recipe: MakeRecipe, cache_dir: Path
) -> None:
    found = {}
    for scaling in ("standard", "quantile", "yeo-johnson"):
        wine = DataSource(name="wine", options={"scaling": scaling})
        data = found[scaling] = load(wine, cache_dir=cache_dir)
        recipe = make_recipe(data=wine, config={"scaling": scaling, "batch_size": 16}, epochs=15)
        *_, last = train(recipe, data)
        assert last.metrics["val_accuracy"] > 0.85
    assert len({data.fingerprint for data in found.values()}) == 3
    first, *others = found.values()
    for other in others:
        assert torch.equal(first.val.labels, other.val.labels)
        ranks = [data.train.inputs[:, 0].argsort().argsort() for data in (first, other)]
        assert torch.corrcoef(torch.stack(ranks).float())[0, 1] > 0.99
