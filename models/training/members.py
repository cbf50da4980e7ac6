"""Several networks of one kind that answer together, and their weights' names."""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

#: Begins the name of every tensor of a committee: ``members.0.…``, ``members.1.…``.
PREFIX: Final = "members"


class Members(nn.Module):
    """Answers with the mean of what its networks answer.

    Of logits that is the geometric mean of the probabilities (Hinton, Vinyals and Dean,
    arXiv:1503.02531, section 2, take it so).
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([network(inputs) for network in self.members]).mean(0)


def named(number: int, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a member under their names in the whole."""
    return {f"{PREFIX}.{number}.{name}": tensor for name, tensor in tensors.items()}


def count_members(tensors: Mapping[str, Tensor]) -> int:
    """How many members these are the tensors of; 0 where they are a single network's."""
    return len({name.split(".")[1] for name in tensors if name.startswith(f"{PREFIX}.")})
