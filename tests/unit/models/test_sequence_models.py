"""Networks for series and for rows: what they see, how much they hold, which weights are which."""

from itertools import islice, pairwise

import pytest
import torch
from torch import nn

from models.build import build_model, build_optimizer
from models.catalog import DataShape
from models.entries import catalog
from models.networks.gru import GRU
from models.networks.parts import in_patches, read_out
from models.networks.sequences import patch_lengths, patches
from models.networks.tcn import TCN, convolution_layer
from models.networks.tcn_entry import dilations
from models.networks.transformer import ColumnTokens, Transformer
from models.optimizers.muon import hidden_weights

SERIES_MODELS = [name for name, entry in catalog().models.items() if "series" in entry.kinds]


def series_of(channels: int, length: int) -> DataShape:
    return DataShape(
        kind="series",
        input_shape=(channels, length),
        classes=10,
        train_rows=1000,
        val_rows=250,
        test_rows=0,
        labels=(0, 9),
    )


@pytest.mark.parametrize(
    ("length", "lengths"),
    [
        (1, (1,)),
        (8, (1,)),
        (16, (1, 2)),
        (96, (2, 4, 8)),
        (500, (8, 16, 32)),
        (5000, (79, 158, 316)),
    ],
)
def test_patches_bound_the_number_of_tokens(length: int, lengths: tuple[int, ...]) -> None:
    assert patch_lengths(length, 64) == lengths
    assert patches(length, lengths[0]) <= 64


@pytest.mark.parametrize("model", ["transformer", "tcn", "gru"])
def test_a_series_a_hundred_times_as_long_needs_little_more_memory(model: str) -> None:
    entry = catalog().models[model]

    def numbers(length: int) -> int:
        return sum(layer.activations for layer in entry.layers({}, series_of(1, length)))

    # What grows is the series itself.
    assert numbers(12_800) < numbers(128) + 2 * 12_800


def test_a_patch_holds_its_steps_of_all_channels() -> None:
    series = torch.arange(14.0).reshape(1, 2, 7)
    found = in_patches(series, 3)
    assert found.shape == (1, 3, 6)
    assert found[0, 0].tolist() == [0, 1, 2, 7, 8, 9]
    assert found[0, 2].tolist() == [6, 0, 0, 13, 0, 0]


def test_a_series_is_read_out_as_its_mean_its_largest_or_its_last_step() -> None:
    steps = torch.tensor([[[1.0, 5.0, 3.0]]])
    assert [read_out(steps, how).item() for how in ("mean", "max", "last")] == [3, 5, 3]


@pytest.mark.parametrize(
    ("steps", "kernel", "expected"),
    [(1, 5, [1, 1, 1]), (16, 3, [1, 2, 4, 1, 2]), (17, 3, [1, 2, 4, 8, 1]), (100, 1, [1, 2, 4])],
)
def test_dilations_double_until_a_kernel_spans_the_series(
    steps: int, kernel: int, expected: list[int]
) -> None:
    if kernel > 1:
        assert list(islice(dilations(steps, kernel), len(expected))) == expected
    else:
        # A kernel of one step spans nothing, however far apart its steps.
        assert all(b == 2 * a for a, b in pairwise(islice(dilations(steps, kernel), 5)))


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_a_dilated_convolution_keeps_the_number_of_steps(kernel: int, dilation: int) -> None:
    layer = convolution_layer(3, kernel=kernel, dilation=dilation, bias=True)
    assert layer(torch.randn(2, 3, 11)).shape == (2, 3, 11)


def test_a_step_of_a_tcn_sees_both_ends_of_the_series() -> None:
    torch.manual_seed(0)
    net = TCN(input_shape=(1, 33), outputs=1, depth=4, width=8, kernel=3).eval()
    x = torch.randn(1, 1, 33, requires_grad=True)
    net.blocks(net.stem(x))[0, :, 16].sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).all()


def test_the_last_step_of_a_gru_is_the_first_one_backwards() -> None:
    torch.manual_seed(0)
    net = GRU(input_shape=(2, 9), outputs=3, depth=2, width=4, readout="last").eval()
    x = torch.randn(5, 2, 9)
    steps, _states = net.layers(x.transpose(1, 2))
    vector = torch.cat((steps[:, -1, :4], steps[:, 0, 4:]), dim=1)
    torch.testing.assert_close(net(x), net.head(vector))


def test_recurrent_weights_begin_orthogonal_gate_by_gate() -> None:
    net = GRU(input_shape=(2, 9), outputs=3, depth=2, width=6)
    for gate in net.layers.weight_hh_l1.detach().chunk(3):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6))
    assert not net.layers.bias_ih_l0.any()


def test_a_gru_of_one_layer_takes_a_dropout_without_a_word() -> None:
    net = GRU(input_shape=(2, 9), outputs=3, depth=1, width=4, dropout=0.5)
    assert net(torch.randn(3, 2, 9)).shape == (3, 3)


def test_where_a_patch_of_a_series_lies_matters() -> None:
    torch.manual_seed(0)
    net = Transformer(input_shape=(1, 8), outputs=3, depth=2, width=16, patch=2).eval()
    series = torch.randn(5, 1, 8)
    turned = series.roll(2, dims=2)
    assert (net(series) - net(turned)).abs().max() > 1e-3
    with torch.no_grad():
        net.tokens.positions.zero_()
    torch.testing.assert_close(net(series), net(turned))


def test_a_column_is_its_number_times_a_vector_or_a_vector_for_its_code() -> None:
    tokens = ColumnTokens(2, (3,), 4)
    found = tokens(torch.tensor([[0.5, -2.0, 1.0]]))[0]  # (4, 4)
    assert tokens.weight is not None
    torch.testing.assert_close(found[0], tokens.class_token)
    torch.testing.assert_close(found[1], 0.5 * tokens.weight[0] + tokens.bias[0])
    torch.testing.assert_close(found[2], -2.0 * tokens.weight[1] + tokens.bias[1])
    (embedding,) = tokens.categories.parameters()
    torch.testing.assert_close(found[3], embedding[1] + tokens.bias[2])


def test_a_table_of_categories_alone_has_no_empty_tensor() -> None:
    net = Transformer(input_shape=(2,), outputs=3, categories=(4, 2), depth=1, width=8)
    assert all(parameter.numel() for parameter in net.parameters())
    assert net(torch.tensor([[3.0, 1.0], [0.0, 0.0]])).shape == (2, 3)


def test_only_the_first_block_of_a_table_sees_what_is_not_normalised() -> None:
    rows, series = (
        Transformer(input_shape=shape, outputs=1, depth=2, width=8) for shape in ((3,), (1, 3))
    )
    found = [[type(block.norm1) for block in net.blocks] for net in (rows, series)]
    assert found == [[nn.Identity, nn.LayerNorm], [nn.LayerNorm, nn.LayerNorm]]


def names_of(net: nn.Module, tensors: list[torch.Tensor]) -> set[str]:
    wanted = {id(tensor) for tensor in tensors}
    return {name for name, parameter in net.named_parameters() if id(parameter) in wanted}


def test_matrices_of_recurrent_layers_are_muons_and_columns_are_not() -> None:
    gru = GRU(input_shape=(2, 9), outputs=3, depth=1, width=4)
    assert names_of(gru, hidden_weights(gru)) == {
        f"layers.weight_{kind}_l0{way}" for kind in ("ih", "hh") for way in ("", "_reverse")
    }
    rows = Transformer(input_shape=(4,), outputs=3, categories=(3,), depth=1, width=8)
    assert names_of(rows, hidden_weights(rows)) == {
        f"blocks.0.{name}.weight" for name in ("attention.qkv", "attention.out", "mlp.0", "mlp.3")
    }


def test_a_bias_of_each_column_does_not_decay() -> None:
    rows = Transformer(input_shape=(4,), outputs=3, categories=(3,), depth=1, width=8)
    decayed, others = build_optimizer("adamw", {}, rows).param_groups
    assert {"tokens.bias", "tokens.class_token"} < names_of(rows, others["params"])
    assert {"tokens.weight", "tokens.categories.0.weight"} < names_of(rows, decayed["params"])
    gru = GRU(input_shape=(2, 9), outputs=3, depth=1, width=4)
    decayed, others = build_optimizer("adamw", {}, gru).param_groups
    assert all("weight" in name for name in names_of(gru, decayed["params"]))
    assert all("bias" in name for name in names_of(gru, others["params"]))


@pytest.mark.parametrize("model", SERIES_MODELS)
def test_the_default_configuration_takes_a_single_step(model: str) -> None:
    module = build_model(model, {}, series_of(2, 1))
    assert module(torch.randn(3, 2, 1)).shape == (3, 10)
