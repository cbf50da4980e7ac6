"""A vision transformer cuts images into patches of any size, and knows where each was."""

import pytest
import torch

from models.networks.attention import Attention
from models.networks.attention_cost import head_width
from models.networks.vit import Tokens, ViT
from models.networks.vit_entry import grid, patch_sizes


@pytest.mark.parametrize(
    ("input_shape", "sizes"),
    [
        ((1, 1, 1), (1,)),
        ((1, 4, 4), (1, 2)),
        ((1, 8, 8), (2, 4)),
        ((1, 28, 28), (4, 7)),
        ((3, 32, 32), (4, 8)),
        ((3, 64, 64), (8, 16)),
        ((3, 224, 224), (28, 32, 56)),
        ((3, 30, 30), (5, 6)),
        ((3, 31, 31), (4, 8)),
        ((1, 48, 60), (12,)),
    ],
)
def test_patches_divide_the_image_where_they_can(
    input_shape: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    assert patch_sizes(input_shape) == sizes


def test_a_patch_holds_the_pixels_of_its_place() -> None:
    images = torch.arange(2 * 2 * 4 * 6, dtype=torch.float32).reshape(2, 2, 4, 6)
    tokens = Tokens(grid((2, 4, 6), 2), 8, class_token=False)
    with torch.no_grad():
        tokens.embedding.weight.copy_(torch.eye(8))
        tokens.embedding.bias.zero_()
        tokens.positions.zero_()
    found = tokens(images)  # (2, 6, 8)
    fourth = images[:, :, 2:4, 0:2].permute(0, 2, 3, 1).reshape(2, 8)
    assert torch.equal(found[:, 3], fourth)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_image_of_an_odd_size_is_filled_up_with_the_mean(layout: torch.memory_format) -> None:
    net = ViT(input_shape=(3, 7, 5), outputs=4, depth=1, width=16, patch=4)
    images = torch.randn(2, 3, 7, 5).to(memory_format=layout)
    whole = torch.zeros(2, 3, 8, 8)
    whole[:, :, :7, :5] = images
    full = ViT(input_shape=(3, 8, 8), outputs=4, depth=1, width=16, patch=4)
    full.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(images), full(whole))


def test_where_a_patch_lies_matters() -> None:
    torch.manual_seed(0)
    net = ViT(input_shape=(1, 4, 4), outputs=3, depth=2, width=16, patch=2).eval()
    images = torch.randn(5, 1, 4, 4)
    turned = images.roll(2, dims=3)
    assert (net(images) - net(turned)).abs().max() > 1e-3
    with torch.no_grad():
        net.tokens.positions.zero_()
    torch.testing.assert_close(net(images), net(turned))


def test_the_class_token_comes_first_and_answers() -> None:
    net = ViT(input_shape=(1, 4, 4), outputs=3, depth=1, width=16, patch=2, class_token=True)
    tokens = net.tokens(torch.randn(5, 1, 4, 4))
    assert tokens.shape == (5, 5, 16)
    assert torch.equal(tokens[:, 0], net.tokens.positions[0].expand(5, 16))
    net(torch.randn(5, 1, 4, 4)).sum().backward()
    assert net.tokens.class_token is not None
    assert net.tokens.class_token.grad is not None
    assert net.tokens.class_token.grad.abs().max() > 0


@pytest.mark.parametrize(("width", "heads"), [(16, 4), (10, 3), (2, 5)])
def test_attention_is_a_mean_of_values_weighed_by_likeness(width: int, heads: int) -> None:
    torch.manual_seed(0)
    attention, size = Attention(width, heads), head_width(width, heads)
    x = torch.randn(2, 6, width)
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    gathered = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / size**0.5).softmax(-1)
        gathered.append(weights @ v[..., part])
    torch.testing.assert_close(attention(x), attention.out(torch.cat(gathered, dim=-1)))
