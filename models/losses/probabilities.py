"""From a network's outputs to probabilities of the classes, as its loss understands them."""

from torch import Tensor

from models.entries import loss_entry


def probabilities_of(loss: str, outputs: Tensor) -> Tensor | None:
    """Probabilities (N, classes) that add up to one; None where the loss knows none, as of margins.

    Where each of two logits says how likely its class is (``sigmoid``), it is the mean of what
    both say. The largest is always the class of the largest output.
    """
    match loss_entry(loss).probabilities:
        case "softmax":
            return outputs.softmax(1)
        case "sigmoid":
            own = outputs.sigmoid()
            return (own + 1 - own.flip(1)) / 2
        case "none":
            return None


def scores_of(loss: str, outputs: Tensor) -> Tensor:
    """What rows are ranked by, class by class (N, classes): the probabilities.

    Where there are none it is the softmax, which rises with the lead over the other classes.
    """
    # In double precision, or confident answers would round to ties at 1.
    outputs = outputs.double()
    scores = probabilities_of(loss, outputs)
    return outputs.softmax(1) if scores is None else scores
