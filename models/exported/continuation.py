"""How a text goes on, as a character model has it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.catalog import DataRefused
from models.data.texts.reading import read_points


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How characters are drawn: `characters` of them, one by one.

    The logits are divided by the `temperature` (Hinton et al., arXiv:1503.02531, section 2): the
    lower, the fewer surprises; with 0 the likeliest character is taken.
    """

    characters: int = 500
    temperature: float = 0.8
    seed: int = 0


@torch.inference_mode()
def continuation(
    module: nn.Module, vocabulary: str, context: int, prompt: Path, drawing: Drawing
) -> str:
    """What comes after the text in the file `prompt`, without that text.

    Raises:
        DataRefused: the prompt is empty, not UTF-8, or has a character the network never saw.
    """
    codes = _codes(prompt, vocabulary)
    generator = torch.Generator().manual_seed(drawing.seed)
    written: list[str] = []
    for _ in range(drawing.characters):
        logits = module(codes[-context:].unsqueeze(0))[0, :, -1]  # (classes,)
        # A class behind the vocabulary stands for any other character: none to write.
        code = _drawn(logits[: len(vocabulary)].double(), drawing.temperature, generator)
        written.append(vocabulary[int(code)])
        codes = torch.cat((codes[-context:], code.reshape(1)))
    return "".join(written)


def _drawn(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax()
    shares = (logits / temperature).softmax(0)
    return torch.multinomial(shares, 1, generator=generator)


def _codes(prompt: Path, vocabulary: str) -> Tensor:
    """The prompt's codes (L,)."""
    code_of = {character: code for code, character in enumerate(vocabulary)}
    text = "".join(map(chr, read_points(prompt)))
    for place, character in enumerate(text, 1):
        if character not in code_of:
            raise DataRefused(
                f"Character {character!r}, number {place:,} of {prompt.name}, does not occur in "
                "the text the network was trained on; write it otherwise."
            )
    return torch.tensor([code_of[character] for character in text])
