"""Muon: momentum made orthogonal, for the weights of hidden layers; AdamW for all else."""

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim.adamw import adamw

#: Of the quintic iteration that draws all singular values towards 1: Jordan et al., Muon, 2024.
_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
_ITERATIONS: Final = 5
#: Of AdamW, as Muon's authors set them for what is not orthogonal.
_BETAS: Final = (0.9, 0.95)
#: The root mean square of AdamW's usual update: arXiv:2502.16982, section 2.2.
_ADAMW_RMS: Final = 0.2


def hidden_weights(model: nn.Module) -> list[Tensor]:
    """The weights of linear layers, convolutions and recurrent layers but for the head.

    Embeddings, biases and normalisations are none of them. A network whose head is no layer of its
    own, such as one that is tied to an embedding, says so with a `head` of None; of any other the
    last layer is the head.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | _ConvNd | nn.RNNBase)]
    own_head = getattr(model, "head", layers) is not None
    return [
        weight
        for layer in (layers[:-1] if own_head else layers)
        for name, weight in layer.named_parameters()
        # Of recurrent layers ``weight_ih_l0`` and so on: a matrix for all gates, as of all heads.
        if name.startswith("weight")
    ]


class Muon(torch.optim.Optimizer):
    """Muon for the `hidden` weights among `params` and AdamW for the others, at one rate.

    torch.optim.Muon takes matrices only; here a kernel is one, a row for each output channel.
    Updates are as long as AdamW's (arXiv:2502.16982), so its rates and decays fit.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        hidden: Iterable[Tensor],
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._hidden = {id(parameter) for parameter in hidden}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step by the gradients there are."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for parameter in parameters:
                if id(parameter) in self._hidden:
                    self._turn(parameter, parameter.grad, group)
            self._adapt([p for p in parameters if id(p) not in self._hidden], group)

    def _turn(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum_buffer"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        ahead = torch.lerp(gradient, momentum, group["momentum"])  # Nesterov's
        update = orthogonal(ahead.flatten(1))  # (outputs, inputs)
        length = _ADAMW_RMS * max(update.shape) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update.view(parameter.shape), alpha=-group["lr"] * length)

    def _adapt(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.tensor(0.0),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the orthogonal matrix (M, N) next to `matrix`: its singular values all near 1."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    # On a GPU half the bits are enough, and several times as fast.
    x = (matrix.T if tall else matrix).to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    nearest: Tensor = (x.T if tall else x).to(matrix.dtype).contiguous()
    return nearest
