"""Metrics over all rows of a split: what is gathered batch by batch, and what comes of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from models.catalog import DataShape
from models.losses.probabilities import scores_of

#: Scores that are ranked at most, which bounds time and memory where there are very many classes.
_RANKED_AT_MOST: Final = 4_000_000
#: A perplexity beyond e to this is no number a float can hold.
_NATS_AT_MOST: Final = 700.0


@dataclass(slots=True)
class Tally:
    """Gathers answers and targets on their device; once all are there, the metrics."""

    measure: Callable[[Tensor, Tensor], dict[str, float]]
    answers: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(
        cls, shape: DataShape, *, unit: float = 1.0, loss: str = "cross_entropy"
    ) -> "Tally | TextTally":
        """For data of this shape: logits (B, classes) with labels (B,), or predictions (B,) of
        numbers, `unit` being what one of a standardised target amounts to; of a text logits
        (B, classes, L) with labels (B, L). By `loss` logits become what rows are ranked by.
        """
        if shape.kind == "text":
            return TextTally()
        if shape.classes:
            return cls(partial(class_metrics, loss=loss))
        return cls(partial(number_metrics, unit=unit))

    def add(self, answers: Tensor, targets: Tensor) -> None:
        """Take a batch."""
        self.answers.append(answers)
        self.targets.append(targets)

    def metrics(self) -> dict[str, float]:
        """The metrics of all rows so far, of which there must be one."""
        return self.measure(torch.cat(self.answers), torch.cat(self.targets))


@dataclass(slots=True)
class TextTally:
    """Sums up what a network says of a text; its answers, too many to gather, are let go."""

    labels: int = 0
    #: The negative log-likelihood of all labels, and how many are the likeliest; on their device.
    nats: Tensor | float = 0.0
    right: Tensor | float = 0.0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take a batch: (B, classes, L) and (B, L)."""
        self.labels += labels.numel()
        self.nats = self.nats + functional.cross_entropy(logits, labels, reduction="sum").double()
        self.right = self.right + (logits.argmax(1) == labels).sum()

    def metrics(self) -> dict[str, float]:
        """``accuracy``, ``perplexity`` and ``bits_per_character`` so far; there must be a label.

        Perplexity is e to the mean of the labels' negative log-likelihoods: among so many
        characters, all equally likely, the network might as well choose. Whatever the loss.
        """
        nats = float(self.nats) / self.labels
        return {
            "accuracy": float(self.right) / self.labels,
            "perplexity": math.exp(min(nats, _NATS_AT_MOST)),
            "bits_per_character": nats / math.log(2),
        }


def class_metrics(
    logits: Tensor, labels: Tensor, *, loss: str = "cross_entropy"
) -> dict[str, float]:
    """``accuracy``, ``balanced_accuracy``, ``f1``, ``roc_auc`` and ``average_precision``.

    Of logits (N, classes) and labels (N,), with scikit-learn's definitions. The last four are
    means over classes: balanced accuracy and F1 over those that occur (F1: among labels or
    answers); ROC-AUC, one class against the rest, over those that have rows of both kinds; average
    precision over those that have a row. Of two classes only the second is ranked. Where there is
    nothing to rank ROC-AUC is 0.5, a coin's, and average precision 0. Of more than four million
    scores these two take every second row, or every third and so on.
    """
    (found,) = class_metrics_of_each(logits.unsqueeze(0), labels, loss=loss)
    return found


def class_metrics_of_each(
    logits: Tensor, labels: Tensor, *, loss: str = "cross_entropy"
) -> list[dict[str, float]]:
    """`class_metrics` of K networks' logits (K, N, classes) for the same rows, one after the other.

    All are computed at once: a network's own take longer to call than to compute.
    """
    answers = logits.argmax(2)
    found = {
        "accuracy": (answers == labels).double().mean(1),
        **_counted(answers, labels, classes=logits.shape[2]),
        **_ranked(logits, labels, loss),
    }
    # One transfer from the device, not one for each.
    rows = torch.stack(list(found.values()), 1).tolist()
    return [dict(zip(found, row, strict=True)) for row in rows]


def number_metrics(predictions: Tensor, targets: Tensor, *, unit: float = 1.0) -> dict[str, float]:
    """``rmse`` and ``mae``, times `unit`, and ``r2`` of predictions (N,) and targets (N,).

    R² is 1 where all is right, and 0 where it is not but the targets are all equal, a single one
    included.
    """
    truth = targets.double()
    errors = predictions.double() - truth
    squares = errors.square()
    spread = (truth - truth.mean()).square().sum()
    unexplained = squares.sum()
    share = torch.where(spread > 0, unexplained / spread, (unexplained > 0).double())
    found = {
        "rmse": squares.mean().sqrt() * unit,
        "mae": errors.abs().mean() * unit,
        "r2": 1 - share,
    }
    return _floats(found)


def _floats(found: Mapping[str, Tensor]) -> dict[str, float]:
    # One transfer from the device, not one for each.
    return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))


def _counted(answers: Tensor, labels: Tensor, *, classes: int) -> dict[str, Tensor]:
    """Metrics of how often each class was there, was answered, and was answered rightly.

    Of answers (K, N).
    """
    there = torch.bincount(labels, minlength=classes)
    answered = _counts(answers, classes)
    # What is wrong is counted as one class more, and left out.
    right = torch.where(answers == labels, labels, classes)
    right = _counts(right, classes + 1)[:, :classes].double()
    # A class that does not occur divides 0 by 0.
    return {
        "balanced_accuracy": (right / there).nanmean(1),
        "f1": (2 * right / (there + answered)).nanmean(1),
    }


def _counts(codes: Tensor, classes: int) -> Tensor:
    """How often each class is in each row of codes (K, N): (K, classes)."""
    own = codes + classes * torch.arange(len(codes), device=codes.device).unsqueeze(1)
    return torch.bincount(own.flatten(), minlength=classes * len(codes)).view(-1, classes)


def _ranked(logits: Tensor, labels: Tensor, loss: str) -> dict[str, Tensor]:
    stride = -(-logits[0].numel() // _RANKED_AT_MOST)
    logits, labels = logits[:, ::stride], labels[::stride]
    at_once = max(1, _RANKED_AT_MOST // max(1, logits[0].numel()))
    each = [_ranks(some, labels, loss) for some in torch.split(logits, at_once)]
    areas, precisions = (torch.cat(parts) for parts in zip(*each, strict=True))
    return {
        "roc_auc": areas.nanmean(1).nan_to_num(0.5),
        "average_precision": precisions.nanmean(1).nan_to_num(0.0),
    }


def _ranks(logits: Tensor, labels: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """ROC-AUC and average precision (K, ranked classes) of logits (K, N, classes)."""
    scores = scores_of(loss, logits.flatten(0, 1)).view(logits.shape).transpose(1, 2).contiguous()
    ranked = torch.arange(scores.shape[1], device=scores.device)
    if len(ranked) == 2:
        scores, ranked = scores[:, 1:], ranked[1:]
    positive = (labels == ranked.unsqueeze(1)).expand(scores.shape)
    areas, precisions = rank_metrics(scores.flatten(0, 1), positive.flatten(0, 1))
    return areas.view(-1, len(ranked)), precisions.view(-1, len(ranked))


def rank_metrics(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """ROC-AUC and average precision (K,) of scores (K, N) for rows marked `positive` (K, N).

    As one goes down the ranking, rows of equal score come all at once. NaN where nothing is
    positive or, for ROC-AUC, nothing else.
    """
    scores, order = scores.sort(dim=1, descending=True)
    hits = positive.gather(1, order).cumsum(1)  # positive ones among the first n
    taken = torch.arange(1, scores.shape[1] + 1, device=scores.device)
    # Only the last of equal scores is a place to stop at; what came before is the stop before it.
    stops = torch.ones_like(positive)
    stops[:, :-1] = scores[:, 1:] != scores[:, :-1]
    hits_before = _before(hits * stops)
    new_hits = (hits - hits_before) * stops
    new_misses = (taken - _before(taken * stops)) * stops - new_hits
    # The curve's trapezoids: each miss counts the hits above it, and half of those beside it.
    area = (new_misses * (hits + hits_before)).sum(1).double() / 2
    positives = hits[:, -1]
    precision = (new_hits * (hits.double() / taken)).sum(1)
    return area / (positives * (scores.shape[1] - positives)), precision / positives


def _before(counts: Tensor) -> Tensor:
    """The largest count so far, one place to the right."""
    return functional.pad(counts.cummax(1).values[:, :-1], (1, 0))
