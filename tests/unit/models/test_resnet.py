"""A residual network has the stages its entry counts, and is safe to train on a CPU."""

import itertools

import pytest
import torch
from torch import nn

from models.catalog import DataShape
from models.entries import catalog
from models.networks.parts import StochasticDepth, drop_probabilities
from models.networks.resnet import ResNet
from models.networks.resnet_entry import blocks, stem

IMAGE = (1, 12, 12)


def network(**changes: object) -> ResNet:
    values: dict[str, object] = {"depth": 1, "width": 4, "stages": 3}
    return ResNet(input_shape=IMAGE, outputs=10, **values | changes)  # type: ignore[arg-type]


def default_stages(side: int) -> object:
    shape = DataShape(
        input_shape=(3, side, side), classes=2, train_rows=9, val_rows=1, test_rows=0, labels=(0, 1)
    )
    parameters = catalog().models["resnet"].hyperparameters(shape)
    return next(p.default for p in parameters if p.name == "stages")


def test_no_convolution_of_one_pixel_has_a_stride() -> None:
    """On CPU, channels last, such a one corrupts memory going backward, and the process dies."""
    for side, width, stages in itertools.product((8, 28, 150), (4, 16), (1, 4)):
        with torch.device("meta"):
            net = ResNet(
                input_shape=(1, side, side), outputs=10, depth=2, width=width, stages=stages
            )
        convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
        assert len([c for c in convolutions if c.kernel_size == (1, 1)]) == stages - 1
        assert not [c for c in convolutions if c.kernel_size == (1, 1) and c.stride != (1, 1)]


@pytest.mark.parametrize(
    ("input_shape", "sides"),
    [
        ((1, 8, 8), [(8, 8)]),
        ((1, 16, 12), [(16, 12)]),
        ((1, 28, 28), [(14, 14)]),
        ((3, 64, 64), [(32, 32)]),
        ((3, 65, 40), [(33, 20)]),
        ((3, 224, 224), [(112, 112), (56, 56)]),
    ],
)
def test_the_stem_halves_all_but_tiny_images(
    input_shape: tuple[int, int, int], sides: list[tuple[int, int]]
) -> None:
    convolutions = list(stem(input_shape, width=4))
    assert [(c.height, c.width) for c in convolutions] == sides
    net = ResNet(input_shape=input_shape, outputs=2, depth=1, width=4, stages=1)
    assert net.stem(torch.zeros(1, *input_shape)).shape == (1, 4, *sides[-1])


@pytest.mark.parametrize(
    ("side", "stages"), [(1, 1), (4, 2), (8, 3), (28, 3), (32, 3), (48, 4), (64, 4), (224, 4)]
)
def test_the_image_decides_how_many_stages_there_are(side: int, stages: int) -> None:
    assert default_stages(side) == stages


@pytest.mark.parametrize("input_shape", [(1, 28, 21), (2, 7, 3), (1, 90, 70)])
def test_maps_have_the_sides_the_entry_says(input_shape: tuple[int, int, int]) -> None:
    chain = list(blocks(input_shape, depth=2, width=4, stages=4))
    with torch.device("meta"):
        net = ResNet(input_shape=input_shape, outputs=2, depth=2, width=4, stages=4)
        maps = net.stem(torch.empty(2, *input_shape))
        for block, layer in zip(chain, net.blocks, strict=True):
            maps = layer(maps)
            assert maps.shape == (2, block.outputs, block.height, block.width)


@pytest.mark.parametrize("normalisation", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_a_block_leaves_the_map_that_goes_around_as_it_is(
    normalisation: str, activation: str
) -> None:
    block = network(normalisation=normalisation, activation=activation).blocks[0]
    maps = torch.randn(3, 4, 12, 12)
    before = maps.clone()
    # At the start the branch adds nothing, so what comes out is what went around.
    assert torch.equal(block(maps), before)
    assert torch.equal(maps, before)


def test_every_weight_learns_after_two_steps() -> None:
    net = network(normalisation="none")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    images, labels = torch.randn(8, *IMAGE), torch.arange(8)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def test_branches_are_dropped_more_often_the_deeper_they_are() -> None:
    assert drop_probabilities(0.2, 4) == pytest.approx([0.05, 0.1, 0.15, 0.2])
    net = network(depth=2, stochastic_depth=0.3)
    found = [part.probability for part in net.modules() if isinstance(part, StochasticDepth)]
    assert found == drop_probabilities(0.3, 6)


def test_a_branch_is_dropped_whole_by_example_and_in_the_mean_changes_nothing() -> None:
    torch.manual_seed(0)
    dropped = StochasticDepth(0.25)(torch.ones(4000, 2, 3))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped))
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)


def test_no_branch_is_dropped_in_evaluation() -> None:
    x = torch.randn(16, 3)
    assert torch.equal(StochasticDepth(0.9).eval()(x), x)
    assert torch.equal(StochasticDepth(0.0)(x), x)
