"""What a spec says of a text, and whether it makes sense. Imports no NumPy."""

from dataclasses import dataclass
from typing import Final

from models.catalog import DataRefused
from models.data.tables.options import check_shares

#: Characters a window has at most: as many as GPT-2 has tokens.
LARGEST_CONTEXT: Final = 1024
#: Characters a window has where nothing is said, and the text is long enough.
USUAL_CONTEXT: Final = 128
SMALLEST_USUAL_CONTEXT: Final = 16
#: Windows a text should have: of a short one they are shorter.
ENOUGH_WINDOWS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """How a text is cut into windows and divided.

    Raises:
        DataRefused: a share or the context is impossible.
    """

    #: Characters a window has; None for what suits the text's length.
    context: int | None = None
    #: Share of the text, its end, that is set aside and never used in the search; 0 for none.
    test: float = 0.1
    #: Share of the other characters, the last of them, that validates.
    validation: float = 0.1

    def __post_init__(self) -> None:
        check_shares(test=self.test, validation=self.validation)
        if self.context is None:
            return
        whole = isinstance(self.context, int) and not isinstance(self.context, bool)
        if not whole or not 2 <= self.context <= LARGEST_CONTEXT:
            raise DataRefused(
                f"context = {self.context!r} must be a whole number of characters from 2 to "
                f"{LARGEST_CONTEXT:,}."
            )

    def context_of(self, characters: int) -> int:
        """The context of a text of so many characters."""
        if self.context is not None:
            return self.context
        # The power of two below what gives enough windows.
        fitting = 1 << max(0, (characters // ENOUGH_WINDOWS).bit_length() - 1)
        return min(USUAL_CONTEXT, max(SMALLEST_USUAL_CONTEXT, fitting))
