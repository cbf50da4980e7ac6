"""Each augmentation does what its entry says, alone and in a chain, and nothing when it is off."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from math import log

import pytest
import torch
from torch import Tensor

from models.augment.base import Augmentation
from models.augment.chain import Chain, build_augment, leading_classes, unchanged
from models.augment.entries import MIN_EPOCHS, MIN_EPOCHS_MOVED, default_augmentations
from models.augment.shares import beta_shares
from models.build import build_loss
from models.catalog import DataShape
from models.data.loading import Dataset
from models.entries import catalog
from models.hyperparameters import Choice, Fixed
from models.recipe import Recipe
from models.training.train import Training, train

AUGMENTATIONS = sorted(catalog().augmentations)
MIXING = sorted(name for name, entry in catalog().augmentations.items() if entry.mixes)
#: All of them at once.
ON = {name: entry.strength.default for name, entry in catalog().augmentations.items()}
BLANK = -7.0
MakeRecipe = Callable[..., Recipe]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def made(name: str, strength: float, channels: int = 1, device: str = "cpu") -> Augmentation:
    module, _, kind = catalog().augmentations[name].build.partition(":")
    blank = torch.full((channels, 1, 1), BLANK, device=device)
    augmentation: Augmentation = getattr(import_module(module), kind)(strength, blank=blank)
    return augmentation


def usual(name: str, channels: int = 1, device: str = "cpu") -> Augmentation:
    return made(name, float(catalog().augmentations[name].strength.default), channels, device)


def last(images: Tensor) -> Tensor:
    """`images` with their channels last in memory, as `Dataset.prepared` gives them."""
    return images.to(memory_format=torch.channels_last)


def different_pixels(count: int, channels: int, height: int, width: int) -> Tensor:
    pixels = torch.arange(1.0, count * channels * height * width + 1)
    return last(pixels.view(count, channels, height, width))


def shares_of(count: int, classes: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.arange(count) % classes, classes).float()


def is_box(mask: Tensor) -> bool:
    """Whether the True places of (H, W) are a rectangle, or none."""
    rows, columns = mask.any(1), mask.any(0)
    whole = torch.equal(mask, rows[:, None] & columns[None, :])
    return whole and all(int(line.int().diff().abs().sum()) <= 2 for line in (rows, columns))


def moved(image: Tensor, down: int, right: int) -> Tensor:
    """`image` (C, H, W) moved, with `BLANK` where nothing is."""
    result = torch.full_like(image, BLANK)
    height, width = image.shape[1:]
    result[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


def test_shift_moves_each_image_by_whole_pixels_and_lets_black_in() -> None:
    images = different_pixels(200, 2, 8, 10)
    shifted, _ = made("shift", 0.2, channels=2)(images, torch.zeros(200))
    reach = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    found = set()
    for before, after in zip(images, shifted, strict=True):
        (way,) = (way for way in reach if torch.equal(after, moved(before, *way)))
        found.add(way)
    # 0.2 of 8 rows are 1.6, rounded 2; of 10 columns 2.
    assert found == set(reach)


def test_a_shift_of_less_than_half_a_pixel_moves_nothing() -> None:
    images = different_pixels(5, 1, 8, 8)
    assert torch.equal(made("shift", 0.05)(images, torch.zeros(5))[0], images)


def test_flip_mirrors_half_of_the_images() -> None:
    images = different_pixels(400, 3, 4, 5)
    flipped, _ = made("flip", 1.0, channels=3)(images, torch.zeros(400))
    mirrored = 0
    for before, after in zip(images, flipped, strict=True):
        mirror = torch.equal(after, before.flip(2))
        assert mirror or torch.equal(after, before)
        mirrored += mirror
    assert 150 < mirrored < 250


def test_crop_resizes_a_part_inside_the_image_that_is_large_enough() -> None:
    count, side, strength = 300, 32, 0.6
    ramp = torch.linspace(-1 + 1 / side, 1 - 1 / side, side)
    across = ramp.expand(side, side)
    images = last(torch.stack((across, across.T)).expand(count, 2, side, side))
    cropped, _ = made("crop", strength, channels=2)(images, torch.zeros(count))
    # A crop of a ramp is a ramp: its slope is the crop's side, its middle the crop's centre.
    inner = cropped[:, :, 1:-1, 1:-1]
    widths = inner[:, 0].diff(dim=2).mean((1, 2)) * side / 2
    heights = inner[:, 1].diff(dim=1).mean((1, 2)) * side / 2
    areas, ratios = widths * heights, (widths / heights).log().abs()
    assert 1 - strength - 1e-3 < areas.min() < 0.5 < 0.9 < areas.max() < 1 + 1e-3
    assert areas.mean() == pytest.approx(1 - strength / 2, abs=0.03)
    assert 0.2 < ratios.max() < log(4 / 3) + 1e-3
    centres = cropped.mean((2, 3))
    assert (centres[:, 0].abs() + widths).max() < 1 + 1e-2
    assert (centres[:, 1].abs() + heights).max() < 1 + 1e-2


def test_a_crop_of_nearly_nothing_is_nearly_the_image() -> None:
    images = last(torch.rand(50, 1, 28, 28))
    cropped, _ = made("crop", 1e-4)(images, torch.zeros(50))
    torch.testing.assert_close(cropped, images, rtol=0, atol=1e-2)


def test_noise_has_the_deviation_asked_for() -> None:
    images = last(torch.rand(50, 3, 28, 28))
    noise = made("noise", 0.2, channels=3)(images, torch.zeros(50))[0] - images
    assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert noise.mean() == pytest.approx(0.0, abs=0.01)


def test_cutout_hides_a_box_of_the_right_sides_that_may_lie_partly_outside() -> None:
    images = last(torch.ones(300, 2, 28, 20))
    hidden = made("cutout", 0.25, channels=2)(images, torch.zeros(300))[0] == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert all(is_box(mask) for mask in hidden[:, 0])
    areas = hidden[:, 0].sum((1, 2))
    assert areas.max() == 7 * 5
    assert 0 < areas.min() < 7 * 5
    assert hidden[:, 0].any(0).all()


def test_cutout_hides_a_pixel_at_least() -> None:
    hidden = made("cutout", 0.01)(last(torch.ones(20, 1, 8, 8)), torch.zeros(20))[0] == 0
    assert hidden.sum((1, 2, 3)).tolist() == [1] * 20


@pytest.mark.parametrize("name", MIXING)
def test_labels_are_mixed_as_the_pixels_are(name: str) -> None:
    count = 64
    values = torch.arange(float(count))
    images = last(values.view(-1, 1, 1, 1).expand(count, 3, 16, 16))
    mixed, labels = usual(name, channels=3)(images, shares_of(count, count))
    torch.testing.assert_close(labels.sum(1), torch.ones(count))
    torch.testing.assert_close(mixed.mean((1, 2, 3)), labels @ values)
    own, before = labels.diagonal(), labels[torch.arange(count), torch.arange(count) - 1]
    torch.testing.assert_close(own + before, torch.ones(count))
    assert ((own > 0.01) & (own < 0.99)).any()


def test_mixup_blends_whole_images() -> None:
    images = last(torch.rand(16, 1, 8, 8))
    mixed, labels = made("mixup", 0.4)(images, shares_of(16, 16))
    own = labels.diagonal()[:, None, None, None]
    torch.testing.assert_close(mixed, own * images + (1 - own) * images.roll(1, 0))


def test_cutmix_pastes_a_box() -> None:
    images = last(torch.arange(64.0).view(-1, 1, 1, 1).expand(64, 1, 16, 16))
    mixed, _ = made("cutmix", 1.0)(images, shares_of(64, 64))
    own = mixed == images
    assert torch.equal(mixed[~own], images.roll(1, 0)[~own])
    assert all(is_box(~mask) for mask in own[:, 0])


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 3.0])
def test_shares_have_the_beta_distributions_mean_and_variance(alpha: float) -> None:
    shares = beta_shares(alpha, torch.empty(100_000))
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.02)


@pytest.mark.parametrize("alpha", [1e-300, 1e-6, 1e-3])
def test_shares_of_a_tiny_alpha_are_zero_or_one(alpha: float) -> None:
    shares = beta_shares(alpha, torch.empty(1000))
    assert shares.isfinite().all()
    assert ((shares < 1e-3) | (shares > 1 - 1e-3)).float().mean() > 0.98


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_seed_gives_the_same_batch_and_the_arguments_stay_as_they_were(
    name: str, channels: int
) -> None:
    images, labels = last(torch.rand(32, channels, 12, 9)), shares_of(32, 10)
    before = images.clone(), labels.clone()
    batches = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        batches.append(usual(name, channels)(images, labels))
    (once, once_labels), (again, again_labels), (other, _) = batches
    assert torch.equal(once, again)
    assert torch.equal(once_labels, again_labels)
    assert not torch.equal(once, other)
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert once.shape == images.shape
    assert once.dtype == images.dtype
    assert once.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_stays_on_its_batchs_device(name: str) -> None:
    images, labels = torch.empty(8, 3, 16, 16, device="meta"), torch.empty(8, 4, device="meta")
    before = torch.get_rng_state()
    augmented, mixed = usual(name, channels=3, device="meta")(images, labels)
    assert {augmented.device.type, mixed.device.type} == {"meta"}
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_batch_of_one_is_augmented_too(name: str) -> None:
    images, labels = usual(name)(last(torch.rand(1, 1, 8, 8)), torch.ones(1, 1))
    assert images.isfinite().all()
    assert labels.tolist() == [[1.0]]


@pytest.mark.parametrize("config", [{}, dict.fromkeys(ON, 0.0), {"flip": False, "mixup": 0}])
def test_what_is_off_is_not_there(config: dict[str, float], digits: Dataset) -> None:
    assert build_augment(config, digits) is unchanged


def test_data_of_another_kind_is_not_augmented(digits: Dataset) -> None:
    table = replace(digits, shape=replace(digits.shape, kind="table"))
    assert build_augment(ON, table) is unchanged


def test_augmentations_that_are_off_leave_no_trace_in_a_training(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    off: dict[str, float | bool] = {name: False if name == "flip" else 0.0 for name in ON}
    without, with_them = (
        next(train(make_recipe(config=config), digits)).checkpoint() for config in ({}, off)
    )
    assert without.tensors.keys() == with_them.tensors.keys()
    assert all(torch.equal(with_them.tensors[k], v) for k, v in without.tensors.items())
    assert "random.cpu" in without.tensors


def test_black_is_what_the_data_makes_of_zero(digits: Dataset) -> None:
    augment = build_augment({"shift": 0.45}, digits)
    black = digits.prepared(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    white = digits.prepared(torch.full((50, 1, 8, 8), 16, dtype=torch.uint8))
    shifted, _ = augment(white, torch.zeros(50))
    assert set(shifted.unique().tolist()) == {black[0, 0, 0, 0].item(), white[0, 0, 0, 0].item()}


def test_a_chain_mixes_each_batch_in_one_way_chosen_by_chance(digits: Dataset) -> None:
    chain = build_augment({"mixup": 1e-3, "cutmix": 1.0, "flip": True}, digits)
    assert isinstance(chain, Chain)
    assert [type(a).__name__ for a in (*chain.alone, *chain.mixing)] == ["Flip", "Mixup", "CutMix"]
    images, labels = digits.prepared(digits.train.inputs[:64]), digits.train.labels[:64]
    # Mixup of so small an alpha hardly mixes, cutmix of 1 nearly always does.
    pure = [(chain(images, labels)[1].max(1).values > 0.99).float().mean() for _ in range(40)]
    assert all(share < 0.6 or share > 0.9 for share in pure)
    assert 5 < sum(bool(share > 0.9) for share in pure) < 35


def test_the_leading_class_of_a_mixed_label_has_the_larger_share() -> None:
    assert leading_classes(torch.tensor([[0.3, 0.0, 0.7], [0.6, 0.4, 0.0]])).tolist() == [2, 0]
    assert leading_classes(torch.tensor([4, 1])).tolist() == [4, 1]


def test_training_accuracy_of_mixed_labels_counts_the_larger_share(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    training = Training.begin(make_recipe(), digits, "cpu")
    rows = torch.arange(64)
    classes = (digits.train.labels[:64] + 1) % 10
    soft = 0.6 * torch.nn.functional.one_hot(classes, 10) + 0.04
    training.learner.augment = lambda inputs, _labels: (inputs, soft)
    with torch.no_grad():
        inputs = digits.prepared(digits.train.inputs[:64])
        expected = int((training.learner.model(inputs).argmax(1) == classes).sum())
    _loss, right = training.take_step(rows)
    assert right == expected


def test_label_smoothing_and_mixed_labels_go_together() -> None:
    logits, labels = torch.randn(6, 4), shares_of(6, 4).lerp(shares_of(6, 4).roll(1, 0), 0.3)
    loss = build_loss("cross_entropy", {"label_smoothing": 0.2}, training=True)
    targets = 0.8 * labels + 0.2 / 4
    torch.testing.assert_close(
        loss(logits, labels), -(targets * logits.log_softmax(1)).sum(1).mean()
    )


@pytest.mark.parametrize("loss", [e.name for e in catalog().losses.values() if e.mixed_labels])
def test_a_loss_that_says_it_takes_mixed_labels_does(loss: str) -> None:
    criterion = build_loss(loss, {}, training=True)
    logits, whole = torch.randn(6, 4), torch.arange(6) % 4
    torch.testing.assert_close(criterion(logits, shares_of(6, 4)), criterion(logits, whole))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_network_learns_from_augmented_images(
    name: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    config = {"depth": 3, "width": 8, name: ON[name]}
    first, *_, final = train(make_recipe("convnet", config=config, epochs=4), digits)
    assert final.metrics["train_loss"] < 0.75 * first.metrics["train_loss"]
    assert final.metrics["val_accuracy"] > 0.8


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_strength_can_be_off_and_is_on_for_those_who_ask(name: str) -> None:
    entry = catalog().augmentations[name]
    assert entry.strength.name == name
    assert entry.strength.default
    assert not isinstance(entry.strength, Fixed)
    if isinstance(entry.strength, Choice):
        assert entry.strength.choices == (False, True)
    else:
        assert entry.strength.low == 0.0


def shape_of(input_shape: tuple[int, ...] = (1, 28, 28), **changes: object) -> DataShape:
    shape = DataShape(
        input_shape=input_shape,
        classes=10,
        train_rows=5000,
        val_rows=1000,
        test_rows=0,
        labels=(0, 9),
    )
    return replace(shape, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "epochs", "names"),
    [
        (shape_of(), 100, ["shift", "flip", "cutout", "mixup"]),
        (shape_of((3, 16, 32)), MIN_EPOCHS, ["shift", "flip", "cutout", "mixup"]),
        (shape_of(classes=0, labels=(0, 0)), 100, ["shift", "flip", "cutout"]),
        (shape_of(), MIN_EPOCHS - 1, ["shift", "flip"]),
        (shape_of(), MIN_EPOCHS_MOVED, ["shift", "flip"]),
        (shape_of(), MIN_EPOCHS_MOVED - 1, []),
        (shape_of((1, 28, 15)), 100, []),
        (shape_of((1, 8, 8)), 100, []),
        (shape_of((30,), kind="table"), 100, []),
    ],
)
def test_what_is_searched_by_default_follows_from_data_and_epochs(
    shape: DataShape, epochs: int, names: list[str]
) -> None:
    assert [s.name for s in default_augmentations(shape, epochs)] == names
