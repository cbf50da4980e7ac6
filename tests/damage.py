"""Damage to files, as disks and networks do it."""

import random


def damaged(content: bytes, *, seed: int) -> bytes:
    """The content with one bit flipped or, every other time, cut off; the seed says where."""
    rng = random.Random(seed)
    place = rng.randrange(len(content))
    if seed % 2:
        return content[:place]
    flipped = bytearray(content)
    flipped[place] ^= 1 << rng.randrange(8)
    return bytes(flipped)
