"""Muon turns what is hidden, and is AdamW elsewhere."""

import pytest
import torch
from torch import nn

from models.build import build_optimizer
from models.optimizers.muon import hidden_weights, orthogonal


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(216, 12), nn.Linear(12, 3)
    )


@pytest.mark.parametrize("sides", [(20, 50), (50, 20), (30, 30), (1, 9)])
def test_singular_values_come_near_one(sides: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(*sides, generator=seeded())))
    # Random square matrices have singular values near 0, which five iterations do not lift.
    assert 0.6 < values.median() < 1.3
    assert values.max() < 1.3


def test_nothing_to_turn_stays_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_hidden_are_the_weights_of_layers_below_the_head() -> None:
    convolution, _, _, hidden, _ = model = network()
    found = hidden_weights(model)
    assert [id(weight) for weight in found] == [id(convolution.weight), id(hidden.weight)]


def test_a_matrix_steps_as_torchs_muon_does_and_a_bias_as_adamw_does() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(8, 16), nn.Linear(8, 16)
    theirs.load_state_dict(ours.state_dict())
    model = nn.Sequential(ours, nn.Linear(16, 1))
    config = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}
    optimizers = [
        build_optimizer("muon", config, model),
        torch.optim.Muon([theirs.weight], **config, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([theirs.bias], lr=0.01, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    for step in range(3):
        gradient = torch.randn(16, 8, generator=seeded(step))
        for layer in (ours, theirs):
            layer.weight.grad, layer.bias.grad = gradient.clone(), gradient[:, 0].clone()
        for optimizer in optimizers:
            optimizer.step()
    # Torch iterates in half the bits.
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-3)
    torch.testing.assert_close(ours.bias, theirs.bias)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
