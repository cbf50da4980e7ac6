"""What a network of convolutions must not contain."""

import itertools

import torch
from torch import nn

from models.networks.convnet import ConvNet


def test_no_convolution_of_one_pixel_has_a_stride() -> None:
    """On CPU, channels last, such a one corrupts memory going backward, and the process dies."""
    for pooling, width, growth in itertools.product(("max", "avg", "stride"), (4, 16), (1.0, 1.9)):
        with torch.device("meta"):
            network = ConvNet(
                input_shape=(1, 28, 28),
                outputs=10,
                depth=4,
                width=width,
                growth=growth,
                pooling=pooling,
                residual=True,
            )
        convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
        assert convolutions
        assert not [c for c in convolutions if c.kernel_size == (1, 1) and c.stride != (1, 1)]
