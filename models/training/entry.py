"""The hyperparameters of training itself, which every model, loss and optimizer shares."""

from collections.abc import Collection
from typing import Final

from models.catalog import DataShape
from models.domains import SCHEDULES, check
from models.entries import model_entry
from models.hyperparameters import Choice, Config, Fixed, Hyperparameter, Real, Value, When
from models.recipe import Recipe

#: An epoch has at least so many steps, or a batch size is not offered.
MIN_STEPS: Final = 8
#: Of fewer rows an accuracy near 0.9 is known to no better than 0.02, its standard error.
FEW_VALIDATE: Final = 200
USUAL_FOLDS: Final = 5

_AS_THEY_ARE: Final[tuple[Hyperparameter, ...]] = (
    Fixed(name="accumulation", value=1, source="a batch is learned from in one part"),
    Fixed(name="averaging", value="none", source="weights are taken as they are"),
    Fixed(name="ema_decay", value=0.999, when=(When(parameter="averaging", values=("ema",)),),
          source="0.99 to 0.9999: arXiv:2311.18823; grows up to it in short trainings"),
    Fixed(name="swa_start", value=0.75, when=(When(parameter="averaging", values=("swa",)),),
          source="after three quarters of the epochs: arXiv:1803.05407, section 3.2"),
    Fixed(name="precision", value="auto", source="bfloat16 where a GPU has it"),
    Fixed(name="early_stopping", value=0, source="0: a trial trains all its epochs"),
)  # fmt: skip


def training_hyperparameters(
    shape: DataShape, epochs: int, *, clip_norm: float = 0.0
) -> tuple[Hyperparameter, ...]:
    """Batch size, schedule and warm-up, with ranges that fit the data and the epochs.

    `clip_norm` is the model's. What is fixed here is searched where a spec says so.

    The step schedule has three stages, and is offered where each can have an epoch. The plateau
    schedule is for trainings whose length nobody knows: it is there by name, but not offered.
    """
    sizes = batch_sizes(shape.train_rows)
    folds = usual_folds(shape)
    schedules = tuple(s for s in SCHEDULES if s != "plateau" and (s != "step" or epochs >= 3))
    return (
        Choice(name="batch_size", choices=sizes, default=usual_batch_size(shape.train_rows),
               source="powers of two around 64 to 128: arXiv:1206.5533, section 3.1"),
        Choice(name="schedule", choices=schedules, default="cosine",
               source="arXiv:1608.03983 (cosine), arXiv:2310.07831 (linear), "
                      "arXiv:1708.07120 (one cycle)"),
        Real(name="warmup", low=0.0, high=0.3, default=0.05,
             when=(When(parameter="schedule",
                        values=tuple(s for s in SCHEDULES if s != "one_cycle")),),
             source="a few percent of the steps: arXiv:1706.02677, section 2.2"),
        Fixed(name="clip_norm", value=clip_norm,
              source="1 for recurrent networks and transformers: arXiv:1211.5063, section 3.2; "
                     "0: gradients are not clipped"),
        Fixed(name="folds", value=folds,
              source="5 where fewer than 200 rows validate: Breiman and Spector, 1992, section 5; "
                     "1: one network, validated by the rows set aside for it"),
        *_AS_THEY_ARE,
    )  # fmt: skip


def full_config(recipe: Recipe, shape: DataShape, *, but: Collection[str] = ()) -> dict[str, Value]:
    """The recipe's configuration with the defaults of training it leaves out.

    Of names in `but` nothing is known, and their values are not checked.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    clip_norm = model_entry(recipe.model).clip_norm
    general = training_hyperparameters(shape, recipe.epochs, clip_norm=clip_norm)
    config = {h.name: h.default for h in general} | dict(recipe.config)
    check({name: value for name, value in config.items() if name not in but})
    return config


def usual_folds(shape: DataShape) -> int:
    """Folds for data that says nothing: several only where few rows would validate."""
    fewest = min(shape.class_rows, default=USUAL_FOLDS)
    few = shape.exchangeable and shape.val_rows < FEW_VALIDATE
    return min(USUAL_FOLDS, fewest) if few and fewest > 1 else 1


def batch_sizes(train_rows: int) -> tuple[int, ...]:
    """Powers of two up to 512 that leave an epoch `MIN_STEPS` steps; at least one size."""
    smallest = 16 if train_rows < 10_000 else 32
    sizes = [1 << k for k in range(10) if smallest <= 1 << k <= train_rows // MIN_STEPS]
    if sizes:
        return tuple(sizes)
    return (1 << (max(train_rows // 2, 1).bit_length() - 1),)


def usual_batch_size(train_rows: int) -> int:
    """Of `batch_sizes` the one to begin with."""
    usual = 64 if train_rows < 10_000 else 128
    return min(batch_sizes(train_rows), key=lambda size: abs(size - usual))


def parts_of(config: Config, rows: int, *, halvings: int = 0) -> int:
    """In how many parts a batch of `rows` is learned from.

    `accumulation`, doubled with every halving, as long as each part has the two rows that batch
    normalisation wants.
    """
    return max(1, min(int(config.get("accumulation", 1)) << halvings, rows // 2))
