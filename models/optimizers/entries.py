"""The optimizers' catalogue entries: those of torch.optim that suit networks, and what to tune.

Not among them: LBFGS and Rprop, which want the gradient of all rows at once, SparseAdam, which
wants sparse ones, and ASGD, whose average nobody reads.

Weight decay acts on matrices and kernels only, not on biases and normalisations. A range on a
logarithmic scale cannot hold zero; its lower end is zero for all that matters.
"""

from typing import Final

from models.catalog import OptimizerEntry
from models.hyperparameters import Choice, Hyperparameter, Real

_CHOI: Final = "arXiv:1910.05446, tables of search spaces"
_ADAM: Final = "arXiv:1412.6980, algorithm 1"


def _adam_lr(default: float = 3e-3) -> Real:
    return Real(name="lr", low=1e-4, high=1e-1, default=default, log=True, source=_CHOI)


def _betas() -> tuple[Hyperparameter, ...]:
    return (
        Real(name="beta1", low=0.8, high=0.99, default=0.9, source=_ADAM),
        Real(name="beta2", low=0.9, high=0.9999, default=0.999, source=_ADAM),
    )


def _penalty() -> Real:
    """Weight decay as an L2 penalty, which passes through the optimizer's scaling."""
    return Real(name="weight_decay", low=1e-7, high=1e-2, default=1e-5, log=True, source=_CHOI)


SGD: Final = OptimizerEntry(
    name="sgd",
    summary="Stochastic gradient descent with momentum.",
    build="torch.optim:SGD",
    hyperparameters=(
        Real(name="lr", low=1e-3, high=1.0, default=5e-2, log=True, source=_CHOI),
        Real(name="momentum", low=0.0, high=0.99, default=0.9,
             source="0.9: Sutskever et al., ICML 2013"),
        Choice(name="nesterov", choices=(False, True), default=True,
               source="Sutskever et al., ICML 2013"),
        Real(name="weight_decay", low=1e-7, high=1e-2, default=5e-4, log=True,
             source="5e-4: arXiv:1605.07146"),
    ),
)  # fmt: skip

ADAM: Final = OptimizerEntry(
    name="adam",
    summary="Adaptive moments; weight decay is a penalty on the loss.",
    build="torch.optim:Adam",
    hyperparameters=(_adam_lr(), *_betas(), _penalty()),
)

ADAMW: Final = OptimizerEntry(
    name="adamw",
    summary="Adaptive moments with weight decay apart from the gradient.",
    build="torch.optim:AdamW",
    hyperparameters=(
        _adam_lr(),
        *_betas(),
        Real(name="weight_decay", low=1e-5, high=1.0, default=1e-2, log=True,
             source="arXiv:1711.05101"),
    ),
)  # fmt: skip

RMSPROP: Final = OptimizerEntry(
    name="rmsprop",
    summary="Gradients divided by their running magnitude.",
    build="torch.optim:RMSprop",
    hyperparameters=(
        Real(name="lr", low=1e-5, high=1e-1, default=2e-3, log=True, source=_CHOI),
        Real(name="alpha", low=0.9, high=0.999, default=0.99,
             source="Hinton, Neural Networks for Machine Learning, lecture 6e"),
        Real(name="momentum", low=0.0, high=0.95, default=0.0, source=_CHOI),
        _penalty(),
    ),
)  # fmt: skip

NADAM: Final = OptimizerEntry(
    name="nadam",
    summary="Adaptive moments with Nesterov's momentum.",
    build="torch.optim:NAdam",
    hyperparameters=(_adam_lr(), *_betas(), _penalty()),
)

RADAM: Final = OptimizerEntry(
    name="radam",
    summary="Adaptive moments whose first steps are rectified.",
    build="torch.optim:RAdam",
    # The rectification holds back the first thousand steps, which may be all there are.
    hyperparameters=(_adam_lr(1e-2), *_betas(), _penalty()),
)

MUON: Final = OptimizerEntry(
    name="muon",
    summary="Orthogonal momentum for hidden layers' weights, AdamW for the rest; costs the most.",
    build="models.optimizers.muon:Muon",
    hyperparameters=(
        _adam_lr(),
        Real(name="momentum", low=0.8, high=0.99, default=0.95,
             source="0.95: Jordan et al., Muon, 2024"),
        Real(name="weight_decay", low=1e-5, high=1.0, default=1e-2, log=True,
             source="arXiv:2502.16982, section 2.2, which wants AdamW's"),
    ),
)  # fmt: skip

ADAGRAD: Final = OptimizerEntry(
    name="adagrad",
    summary="Gradients divided by the root of the sum of all squares so far.",
    build="torch.optim:Adagrad",
    hyperparameters=(
        Real(name="lr", low=1e-3, high=1.0, default=2e-2, log=True,
             source="Duchi, Hazan and Singer, JMLR 2011; torch's 0.01 and tenfold either way"),
        _penalty(),
    ),
)  # fmt: skip

ADADELTA: Final = OptimizerEntry(
    name="adadelta",
    summary="Steps as long as recent steps were, whatever the gradient's unit.",
    build="torch.optim:Adadelta",
    hyperparameters=(
        Real(name="lr", low=0.1, high=10.0, default=1.0, log=True,
             source="1: arXiv:1212.5701, which has none; tenfold either way"),
        Real(name="rho", low=0.8, high=0.99, default=0.9,
             source="0.9 to 0.99: arXiv:1212.5701, table 2"),
        _penalty(),
    ),
)  # fmt: skip

ADAMAX: Final = OptimizerEntry(
    name="adamax",
    summary="Adam with the largest recent gradient in place of the second moment.",
    build="torch.optim:Adamax",
    # Its steps are shorter than Adam's at the same rate: the largest is above the mean square.
    hyperparameters=(_adam_lr(5e-3), *_betas(), _penalty()),
)

ADAFACTOR: Final = OptimizerEntry(
    name="adafactor",
    summary="Adam's second moment from rows and columns alone: next to no memory.",
    build="torch.optim:Adafactor",
    hyperparameters=(
        Real(name="lr", low=1e-3, high=0.3, default=3e-2, log=True,
             source="relative to a matrix's own size; 0.01: arXiv:1804.04235, section 8"),
        Real(name="weight_decay", low=1e-5, high=1.0, default=1e-2, log=True,
             source="arXiv:1711.05101"),
    ),
)  # fmt: skip
