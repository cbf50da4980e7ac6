"""What every architecture for images must know of an example's shape. Torch-free."""

from models.catalog import ConfigRefused


def image_shape(model: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width.

    Raises:
        ConfigRefused: examples are no images, so `model` is not for them.
    """
    if len(input_shape) != 3:
        raise ConfigRefused("model", model, f"takes images, not examples of {input_shape}")
    return input_shape


def halvings(height: int, width: int) -> int:
    """How often a map can be halved, rounding up, until its shorter side is one pixel."""
    return (min(height, width) - 1).bit_length()
