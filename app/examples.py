"""Bodies for the OpenAPI document; the tests submit them."""

from typing import Any, Final

SMALLEST: Final[dict[str, Any]] = {
    "model": "convnet",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
}

FULL_YAML: Final = """\
name: digits
model: convnet
data: digits
loss: cross_entropy
optimizer: adamw
metric: val_accuracy
space:
  lr: {float: [1.0e-4, 1.0e-1], log: true}
  depth: {int: [1, 4]}
  width: 16                      # a fixed value takes it out of the search
start:
  - {lr: 0.01}                   # known good points, tried first
budget: {trials: 30, epochs: 15, hours: 1.0}
parallel: auto
labels: {team: vision}
search: {sampler: auto, pruner: asha, seed: 7}
"""

PATCH: Final[dict[str, Any]] = {"revision": 1, "budget": {"trials": 60}, "priority": 5}
ENQUEUE: Final[dict[str, Any]] = {"params": {"lr": 0.003}}
