"""What every augmentation is."""

from abc import ABC, abstractmethod

from torch import Tensor


class Augmentation(ABC):
    """Alters a batch of training examples, each in its own way.

    Draws from torch's global generators alone, on the batch's device as far as it can, and writes
    to none of its arguments. `strength` is above zero: what is off is not built. Whoever writes one
    of his own may give it further arguments with defaults; a spec's ``space`` names them.
    """

    def __init__(self, strength: float, *, blank: Tensor) -> None:
        self.strength = strength
        #: A black pixel (C, 1, 1), normalised as the images are.
        self.blank = blank

    @abstractmethod
    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch, altered.

        `inputs` are normalised images (B, C, H, W), channels last, and stay so. `labels` are (B,);
        for an augmentation that mixes examples they are shares (B, classes).
        """
