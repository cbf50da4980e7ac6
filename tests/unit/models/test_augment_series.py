"""Series are augmented in time, and their flags stay flags."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.augment.chain import AsImages, build_augment, unchanged
from models.augment.entries import MIN_EPOCHS, default_augmentations
from models.augment.warp import Warp
from models.catalog import DataShape, DataSource
from models.data.loading import Dataset, load
from models.entries import catalog

OF_SERIES = sorted(n for n, e in catalog().augmentations.items() if "series" in e.kinds)
LENGTH = 20


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def data_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Dataset]:
    """Waves of one channel, some of them shorter if there are to be flags."""
    folder = tmp_path_factory.mktemp("series")

    def data(flagged: bool) -> Dataset:
        waves = torch.sin(torch.arange(LENGTH) / 3 + torch.arange(60)[:, None]) + 3
        lines = [
            ",".join(f"{value:.4f}" for value in wave[: LENGTH - 5 * (flagged and i % 3)])
            + f":{'ab'[i % 2]}"
            for i, wave in enumerate(waves.tolist())
        ]
        path = folder / f"{flagged}.ts"
        path.write_text("@univariate true\n@classLabel true a b\n@data\n" + "\n".join(lines))
        source = DataSource(name="ts", path=path.name, options={"test": 0})
        return load(source, roots=(str(folder),), cache_dir=folder / "cache")

    return data


def augmented(data: Dataset, **config: float) -> Tensor:
    augment = build_augment(config, data)
    assert isinstance(augment, AsImages)
    return augment(data.train.inputs, data.train.labels)[0]


def test_these_are_for_series() -> None:
    assert OF_SERIES == ["cutout", "mixup", "noise", "shift", "warp"]


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("name", OF_SERIES)
def test_every_augmentation_alters_series_and_leaves_flags_flags(
    name: str, flagged: bool, data_of: Callable[[bool], Dataset]
) -> None:
    data = data_of(flagged)
    before = data.train.inputs.clone()
    strength = float(catalog().augmentations[name].strength.default)
    after = augmented(data, **{name: strength})
    assert torch.equal(data.train.inputs, before)
    assert after.shape == before.shape
    assert after.is_contiguous()
    assert not torch.equal(after[:, 0], before[:, 0])
    assert after.isfinite().all()
    if flagged:
        assert {*after[:, -1].unique().tolist()} == {0.0, 1.0}


@pytest.mark.parametrize("name", ["cutout", "noise", "shift", "warp"])
def test_a_flagged_place_stays_empty(name: str, data_of: Callable[[bool], Dataset]) -> None:
    after = augmented(data_of(True), **{name: 0.4})
    assert after[:, 0][after[:, 1] == 1].abs().max() == 0


def test_noise_leaves_flags_as_they_are(data_of: Callable[[bool], Dataset]) -> None:
    data = data_of(True)
    assert torch.equal(augmented(data, noise=0.3)[:, 1], data.train.inputs[:, 1])


def test_a_shift_lets_nothing_in_and_says_so(data_of: Callable[[bool], Dataset]) -> None:
    data = data_of(True)
    before, after = data.train.inputs, augmented(data, shift=0.1)
    found = set()
    for was, now in zip(before, after, strict=True):
        (way,) = (w for w in range(-2, 3) if torch.equal(now, moved(was, w)))
        found.add(way)
    assert found == {-2, -1, 0, 1, 2}


def moved(series: Tensor, places: int) -> Tensor:
    result = torch.tensor([[0.0], [1.0]]).repeat(1, LENGTH)
    result[:, max(places, 0) : LENGTH + min(places, 0)] = series[
        :, max(-places, 0) : LENGTH + min(-places, 0)
    ]
    return result


@pytest.mark.parametrize("flagged", [False, True])
def test_cutout_hides_one_span_of_time(flagged: bool, data_of: Callable[[bool], Dataset]) -> None:
    data = data_of(flagged)
    before, after = data.train.inputs, augmented(data, cutout=0.25)
    for was, now in zip(before, after, strict=True):
        places = (was != now).any(0).nonzero().flatten().tolist()
        assert len(places) <= 5
        assert places == [*range(places[0], places[0] + len(places))] if places else True
        assert now[0, places].abs().sum() == 0
        if flagged:
            assert now[1, places].eq(1).all()


def test_a_warp_runs_forward_from_begin_to_end_and_smoothly() -> None:
    warp = Warp(0.2, blank=torch.zeros(1, 1, 1))
    ramp = torch.arange(100.0).expand(500, 2, 1, 100)
    warped, _ = warp(ramp, torch.zeros(500))
    assert torch.equal(warped[:, 0], warped[:, 1])
    moments = warped[:, 0, 0]
    steps = moments.diff(dim=1)
    assert steps.min() > 0
    torch.testing.assert_close(moments[:, 0], torch.zeros(500))
    torch.testing.assert_close(moments[:, -1], torch.full((500,), 99.0))
    # Of six speeds of that deviation, about their mean, and no jump from one place to the next.
    assert 0.1 < steps.log().std() < 0.25
    assert steps.diff(dim=1).abs().max() < 0.1


def test_the_strongest_warp_still_runs_forward() -> None:
    ramp = torch.arange(50.0).expand(500, 1, 1, 50)
    warped, _ = Warp(1.0, blank=torch.zeros(1, 1, 1))(ramp, torch.zeros(500))
    assert warped.diff(dim=3).min() > 0
    assert warped.max() <= 49


def test_beside_a_flagged_place_the_nearer_place_is_taken_whole() -> None:
    warp = Warp(0.4, blank=torch.tensor([0.0, 1.0]).view(2, 1, 1), flagged=True)
    values = torch.arange(1.0, 41).repeat(200, 1)
    flags = torch.zeros(200, 40)
    flags[:, 15:20] = flags[:, 35:] = 1
    series = torch.stack([values * (1 - flags), flags], 1)[:, :, None]
    warped, _ = warp(series, torch.zeros(200))
    warped = warped[:, :, 0]
    assert {*warped[:, 1].unique().tolist()} == {0.0, 1.0}
    assert warped[:, 0][warped[:, 1] == 1].abs().max() == 0
    found = warped[:, 0][warped[:, 1] == 0]
    # Values rise; one mixed with nothing would lie between 0 and its neighbours.
    assert not ((found > 15) & (found < 21)).any()
    assert found.min() == 1


def test_a_series_of_one_place_cannot_be_warped() -> None:
    series = torch.ones(3, 1, 1, 1)
    assert Warp(0.2, blank=torch.zeros(1, 1, 1))(series, torch.zeros(3))[0] is series


def test_mixed_flags_are_those_of_the_larger_share(data_of: Callable[[bool], Dataset]) -> None:
    data = data_of(True)
    augment = build_augment({"mixup": 0.4}, data)
    mixed, labels = augment(data.train.inputs, data.train.labels)
    own, other = data.train.inputs[:, 1], data.train.inputs[:, 1].roll(1, 0)
    leads = labels.gather(1, data.train.labels[:, None])[:, 0] > 0.5
    differ = data.train.labels != data.train.labels.roll(1, 0)
    for row in differ.nonzero().flatten().tolist():
        assert torch.equal(mixed[row, 1], (own if leads[row] else other)[row])


def test_an_augmentation_of_images_alone_is_not_for_series(
    data_of: Callable[[bool], Dataset],
) -> None:
    config = {"flip": True, "crop": 0.3, "cutmix": 1.0}
    assert build_augment(config, data_of(False)) is unchanged


SERIES = DataShape(
    kind="series",
    input_shape=(3, 100),
    classes=4,
    train_rows=300,
    val_rows=60,
    test_rows=0,
    labels=(0, 3),
)


@pytest.mark.parametrize(
    ("shape", "epochs", "names"),
    [
        (SERIES, 100, ["warp", "noise"]),
        (replace(SERIES, classes=0, labels=(0, 0)), 100, ["noise"]),
        (SERIES, MIN_EPOCHS - 1, []),
        (replace(SERIES, input_shape=(3, 15)), 100, []),
    ],
)
def test_what_is_searched_by_default_follows_from_series_and_epochs(
    shape: DataShape, epochs: int, names: list[str]
) -> None:
    assert [s.name for s in default_augmentations(shape, epochs)] == names
