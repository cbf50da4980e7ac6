"""What trials that are compared have in common."""

from collections.abc import Mapping
from typing import Any, Final

#: All but an `mlp`'s shape and the learning rate, lest one way try costlier trials than another.
FIXED: Final[Mapping[str, Any]] = {
    "activation": "relu",
    "residual": False,
    "dropout": 0.0,
    "schedule": "cosine",
    "warmup": 0.05,
    "clip_norm": 0.0,
    "label_smoothing": 0.0,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.01,
}
