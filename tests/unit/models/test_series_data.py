"""Series as data sets: divided, padded, standardised, and raw ones taken again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.catalog import DataRefused, DataShape, DataSource
from models.data.loading import Dataset, load
from models.data.series.preparation import SeriesPreparation
from models.entries import catalog
from models.exported import predict as predicting
from models.exported.predict import predict

HEADER = "@problemName p\n@univariate {}\n@classLabel true low high\n@data\n"
Write = Callable[..., DataSource]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write series of one channel each as .ts, by class; the source that names the file."""

    def write(series: list[tuple[list[Any], str]], name: str = "p.ts", **said: Any) -> DataSource:
        lines = [f"{','.join(map(str, values))}:{label}\n" for values, label in series]
        (tmp_path / name).write_text(HEADER.format("true") + "".join(lines))
        return DataSource(name="ts", path=name, options=said)

    return write


def loaded(source: DataSource, folder: Path, split_seed: int = 0) -> Dataset:
    roots = (str(folder),)
    data = load(source, roots=roots, cache_dir=folder / "cache", split_seed=split_seed)
    assert catalog().data[source.name].inspect(source, roots) == data.shape
    return data


def waves(count: int, length: int = 6) -> list[tuple[list[Any], str]]:
    """Series about 10 and about 20, alternately."""
    rng = np.random.default_rng(0)
    return [
        ((10 * (1 + i % 2) + rng.normal(size=length)).round(4).tolist(), ("low", "high")[i % 2])
        for i in range(count)
    ]


def document_of(data: Dataset) -> dict[str, Any]:
    document = data.preparation.to_json()
    assert document["kind"] == "series"
    found: dict[str, Any] = document["series"]
    return found


def test_series_of_one_length_are_standardised_and_have_no_flags(
    write: Write, tmp_path: Path
) -> None:
    data = loaded(write(waves(50)), tmp_path)
    assert data.shape == DataShape(
        kind="series",
        input_shape=(1, 6),
        classes=2,
        train_rows=32,
        val_rows=8,
        test_rows=10,
        labels=(0, 1),
        class_rows=(16, 16),
        exchangeable=True,
    )
    assert data.train.inputs.dtype == torch.float32
    assert data.train.inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train.inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    # The class of the header's first name has code 0.
    assert data.train.inputs[data.train.labels == 0].max() < 0
    assert torch.equal(data.prepared(data.val.inputs), data.val.inputs)


def test_statistics_are_of_the_training_series_alone(write: Write, tmp_path: Path) -> None:
    series = waves(50)
    data = loaded(write(series), tmp_path)
    (channel,) = document_of(data)["channels"]
    raw = data.train.inputs * channel["std"] + channel["mean"]
    assert channel["mean"] == pytest.approx(raw.mean().item(), abs=1e-4)
    everything = np.mean([values for values, _ in series])
    assert channel["mean"] != pytest.approx(everything, abs=1e-4)


def test_what_is_missing_or_past_the_end_is_zero_and_flagged(write: Write, tmp_path: Path) -> None:
    series = waves(48, length=5)
    series += [([10.5, "?", 9.5], "low"), ([20, 21, "NaN", 20], "high")]
    data = loaded(write(series, test=0), tmp_path)
    assert data.shape.input_shape == (2, 5)
    assert data.shape.flagged
    inputs = torch.cat([data.train.inputs, data.val.inputs])
    flags = inputs[:, 1]
    found = sorted(map(tuple, flags[flags.any(1)].tolist()))
    assert found == [(0, 0, 1, 0, 1), (0, 1, 0, 1, 1)]
    assert inputs[:, 0][flags == 1].abs().max() == 0
    assert inputs[:, 0][flags == 0].abs().min() > 0


def test_a_test_file_beside_the_training_file_is_the_test_split(
    write: Write, tmp_path: Path
) -> None:
    write([*waves(8, length=9), ([1.0], "high")], name="p_TEST.ts")
    data = loaded(write(waves(40), name="p_TRAIN.ts"), tmp_path)
    assert (data.train.rows, data.val.rows, data.split("test").rows) == (32, 8, 9)
    # Length and flags are those of the series one learns from.
    assert (data.shape.input_shape, data.shape.flagged) == ((1, 6), False)
    assert data.split("test").inputs.shape == (9, 1, 6)
    assert data.split("test").inputs[-1, 0, 1:].tolist() == [0.0] * 5


def test_a_share_for_a_test_split_that_is_there_is_refused(write: Write, tmp_path: Path) -> None:
    write(waves(8), name="p_TEST.ts")
    source = write(waves(40), name="p_TRAIN.ts", test=0.3)
    message = (
        "^test = 0.3 would set series aside, but p_TEST.ts is the test split; leave test out, or "
        "give that file another name.$"
    )
    with pytest.raises(DataRefused, match=message):
        loaded(source, tmp_path)


def test_a_test_file_may_not_lead_out_of_the_roots(
    write: Write, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = write(waves(40), name="p_TRAIN.ts")
    outside = tmp_path_factory.mktemp("outside") / "p.ts"
    outside.write_text(HEADER.format("true") + "1,2:low\n")
    (tmp_path / "p_TEST.ts").symlink_to(outside)
    with pytest.raises(DataRefused, match=r"p_TEST.ts' lies outside the data roots"):
        loaded(source, tmp_path)


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        (
            "@univariate false\n@classLabel true low high\n@data\n",
            "1:2:low\n",
            "p_TRAIN.ts has 1 as its dimensions, and p_TEST.ts beside it, which would be the test "
            "split, 2; correct one, or give it another name.",
        ),
        (
            "@univariate true\n@targetLabel true\n@data\n",
            "1:2\n",
            "p_TRAIN.ts has classes as its targets, and p_TEST.ts beside it, which would be the "
            "test split, number; correct one, or give it another name.",
        ),
    ],
)
def test_a_test_file_of_something_else_is_refused(
    write: Write, tmp_path: Path, header: str, line: str, message: str
) -> None:
    source = write(waves(40), name="p_TRAIN.ts")
    (tmp_path / "p_TEST.ts").write_text(header + line)
    with pytest.raises(DataRefused) as caught:
        loaded(source, tmp_path)
    assert str(caught.value) == message


def test_numbers_are_standardised_and_given_back_in_their_own_unit(tmp_path: Path) -> None:
    lines = [f"{i % 7},{i % 5}:{100 + 10 * i}\n" for i in range(50)]
    (tmp_path / "n.ts").write_text("@targetLabel true\n@data\n" + "".join(lines))
    data = loaded(DataSource(name="ts", path="n.ts"), tmp_path)
    assert (data.shape.classes, data.shape.outputs) == (0, 1)
    assert data.train.labels.mean().item() == pytest.approx(0, abs=1e-5)
    own = data.in_own_unit()
    assert (own.preparation.unit, own.preparation.zero) == (1.0, 0.0)
    assert {round(label) for label in own.train.labels.tolist()} <= {*range(100, 600, 10)}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["@classLabel true a b", "@data", *["1,2:a"] * 9],
            "All series of p.ts are of class 'a'; a class is only learned beside another: add "
            "series.",
        ),
        (
            ["@classLabel true a b", "@data", *["1,2:a"] * 9, "1,3:b"],
            "Class 'b' of target 'target' has 1 series; 3 are needed, one for each of training, "
            "validation and test: add series, or remove the class.",
        ),
        (
            ["@classLabel false", "@data", "1,2"],
            "p.ts says nothing of what is to be predicted; write @classLabel true with the "
            "classes' names, or @targetLabel true, and end each line with its own.",
        ),
        (
            ["@targetLabel true", "@data", *["1,2:0.5"] * 9],
            "p.ts has the number 0.5 to predict in all series, so that there is nothing to learn; "
            "write others, or add series.",
        ),
        (
            ["@targetLabel true", "@data", "1,2:0.5", "1,3:1e300"],
            "p.ts has a number of size 1e+300 to predict, too large to learn; give it in a larger "
            "unit.",
        ),
        (
            ["@targetLabel true", "@data", "1,2:0.5", "1,3:1"],
            "The table has 2 series, too few for training, validation and test; add series.",
        ),
        (
            ["@targetLabel true", "@data", *[f"1,?:{i}" for i in range(9)]],
            "All values of the training series are missing or one and the same in each of 1 "
            "channels, so that there is nothing to learn from; correct the series.",
        ),
        (
            ["@targetLabel true", "@data", *[f"1,1e200:{i}" for i in range(9)]],
            "Channel 'value' holds a number of size 1e+200, too large to learn from; correct it.",
        ),
    ],
)
def test_series_nothing_can_be_learned_from_are_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    (tmp_path / "p.ts").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataRefused) as caught:
        loaded(DataSource(name="ts", path="p.ts"), tmp_path)
    assert str(caught.value) == message


def test_a_file_must_be_named() -> None:
    with pytest.raises(DataRefused, match=r"^ts needs a file: write data: \{ts: FILE\}.$"):
        catalog().data["ts"].inspect(DataSource(name="ts"), ())


def test_series_that_pad_to_more_than_memory_are_refused(write: Write, tmp_path: Path) -> None:
    source = write([*waves(60, length=2), ([1] * 900, "low"), ([3] * 9, "high")], test=0)
    preparation = SeriesPreparation.from_json(document_of(loaded(source, tmp_path)))
    message = (
        "^62 series of 2 channels, each as long as the longest, 900 places, take 0.9 MB of memory; "
        "0.5 MB are free: take fewer or shorter series.$"
    )
    with pytest.raises(DataRefused, match=message):
        preparation.inputs(tmp_path / "p.ts", available_bytes=500_000)


def test_equal_files_have_equal_fingerprints_and_other_values_others(
    write: Write, tmp_path: Path
) -> None:
    first = loaded(write(waves(40)), tmp_path)
    same = loaded(write(waves(40), name="q.ts"), tmp_path)
    assert same.fingerprint == first.fingerprint
    assert loaded(write(waves(42)), tmp_path).fingerprint != first.fingerprint
    assert loaded(write(waves(40), test=0.3), tmp_path).fingerprint != first.fingerprint
    assert loaded(write(waves(40)), tmp_path, split_seed=1).fingerprint != first.fingerprint


def test_what_is_made_of_series_is_told(write: Write, tmp_path: Path) -> None:
    series = [*waves(38), ([10, "?"], "low"), ([10, 11], "low")]
    sentences = catalog().data["ts"].explain(write(series, test=0), (str(tmp_path),))
    assert sentences[0] == "40 series of 1 channels and 2 to 6 places."
    assert sentences[1] == "Target 'target' (text): 2 classes, low, high."
    assert sentences[2].startswith("Channel 'value' (number")
    assert "standardised, mean 1" in sentences[2]
    assert sentences[3] == (
        "A series has 6 places; what is longer loses its end. One more channel is 1 where a value "
        "is missing or the series has ended; what is missing is 0."
    )


def test_a_test_file_and_many_channels_are_told(tmp_path: Path) -> None:
    header = "@univariate false\n@classLabel true a b\n@data\n"
    line = ":".join(f"{i},{i + 1}" for i in range(23))
    (tmp_path / "p_TRAIN.ts").write_text(header + f"{line}:a\n{line}:b\n" * 4)
    (tmp_path / "p_TEST.ts").write_text(header + f"{line}:a\n")
    source = DataSource(name="ts", path="p_TRAIN.ts")
    sentences = catalog().data["ts"].explain(source, (str(tmp_path),))
    told = "9 series of 23 channels and 2 places, 1 of them in the test file beside."
    assert (sentences[0], len(sentences)) == (told, 24)
    assert sentences[-2:] == (
        "3 more channels are standardised alike.",
        "A series has 2 places; what is longer loses its end.",
    )


class Means(nn.Module):
    """Answers with the mean of the first channel: below zero the first class, above the second."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs: Tensor) -> Tensor:
        mean = inputs[:, :1].mean(2)
        return torch.cat([-mean, mean], 1) if self.outputs == 2 else mean


@pytest.fixture
def network_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Dataset], Path]:
    """An exported network of `Means` for such data."""

    def network(data: Dataset) -> Path:
        loss = "cross_entropy" if data.shape.classes else "mse"
        about = {"preparation": data.preparation.to_json(), "recipe": {"loss": loss}}
        module = Means(data.shape.outputs)
        monkeypatch.setattr(predicting, "open_model", lambda _path: (about, module))
        return Path("model")

    return network


def test_raw_series_are_predicted_whatever_their_length(
    write: Write, tmp_path: Path, network_of: Callable[[Dataset], Path]
) -> None:
    model = network_of(loaded(write([*waves(40), ([10, "?"], "low"), ([10], "low")]), tmp_path))
    new = tmp_path / "new.ts"
    new.write_text("@univariate true\n@data\n9,9\n21,22,?\n10,10,10,10,10,10,99,99,99,99,99\n")
    answers = predict(model, new)
    assert answers.values == ["low", "high", "low"]
    assert {*answers.probabilities} == {"low", "high"}


def test_numbers_are_predicted_in_their_unit(
    tmp_path: Path, network_of: Callable[[Dataset], Path]
) -> None:
    lines = [f"{i},{i}:{1000 + 10 * i}\n" for i in range(50)]
    (tmp_path / "n.ts").write_text("@targetLabel true\n@data\n" + "".join(lines))
    data = loaded(DataSource(name="ts", path="n.ts"), tmp_path)
    answers = predict(network_of(data), tmp_path / "n.ts")
    assert answers.values == pytest.approx([1000 + 10 * i for i in range(50)], abs=0.1)
    assert answers.probabilities == {}


def test_raw_series_of_other_channels_are_refused(
    write: Write, tmp_path: Path, network_of: Callable[[Dataset], Path]
) -> None:
    model = network_of(loaded(write(waves(40)), tmp_path))
    (tmp_path / "new.ts").write_text("@univariate false\n@data\n1,2:3,4\n")
    with pytest.raises(DataRefused) as caught:
        predict(model, tmp_path / "new.ts")
    assert str(caught.value) == (
        "new.ts has series of 2 channels; the network was trained with 1: value."
    )
    (tmp_path / "new.csv").write_text("a\n1\n")
    with pytest.raises(DataRefused) as caught:
        predict(model, tmp_path / "new.csv")
    assert str(caught.value) == (
        "The network was trained with a .ts file of 1 channels, and takes such files only; write "
        "the series into one."
    )


def test_another_document_is_no_preparation_of_series() -> None:
    with pytest.raises(ValueError, match="no preparation of series, but 'tuner-table-1'"):
        SeriesPreparation.from_json({"format": "tuner-table-1"})
