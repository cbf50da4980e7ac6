"""What every architecture for series must know of an example's shape. Torch-free."""

from models.catalog import ConfigRefused


def series_shape(model: str, input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels, and steps of time.

    Raises:
        ConfigRefused: examples are no series, so `model` is not for them.
    """
    if len(input_shape) != 2:
        raise ConfigRefused("model", model, f"takes series, not examples of {input_shape}")
    return input_shape


def patch_lengths(length: int, most: int) -> tuple[int, ...]:
    """Steps of time to take as one, fewest first: at most `most` are left, or a half or a quarter.

    Cost and memory so stay bounded however long a series is. Shorter series keep at least 8.
    """
    least = -(-length // most)
    return tuple(
        size for size in (least, 2 * least, 4 * least) if size == least or length >= 8 * size
    )


def patches(length: int, patch: int) -> int:
    """How many there are; the last one may be filled up."""
    return -(-length // patch)
