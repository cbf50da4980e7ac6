"""What a transformer's blocks cost, in integers. Torch-free."""

from models.catalog import Layer


def head_width(width: int, heads: int) -> int:
    """The width of one head: rounded up, so that any number of heads will do."""
    return -(-width // heads)


def block_layer(
    name: str,
    tokens: int,
    *,
    width: int,
    heads: int,
    hidden: int,
    gated: bool = False,
    normalise_first: bool = True,
    weights_kept: bool = False,
) -> Layer:
    """The cost of a `models.networks.attention.TransformerBlock`.

    `weights_kept` says that the weights of attention are kept for the backward pass, as they are
    where some are dropped.
    """
    inner = heads * head_width(width, heads)
    lifted = (1 + gated) * hidden
    weights = 4 * width * inner + width * lifted + hidden * width
    # Biases of the four matrices, and the normalisations.
    vectors = (3 * inner + width) + (lifted + width) + 2 * width * (1 + normalise_first)
    return Layer(
        name=name,
        parameters=weights + vectors,
        flops=2 * tokens * weights + 4 * tokens**2 * inner,
        activations=tokens * (6 * width + 4 * inner + 2 * lifted)
        + 3 * weights_kept * heads * tokens**2,
    )
