"""What a spec says of a text, followed to its windows and to their shape. Without torch."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from models.catalog import DataRefused, DataShape, DataSource
from models.data.texts.entry import text_files
from models.data.texts.options import TextOptions
from models.data.texts.windows import PreparedText, prepare_text
from models.files import marks_of


def options_of(source: DataSource) -> TextOptions:
    """What the source says of its text.

    Raises:
        DataRefused: an option has an impossible value.
    """
    for name in ("test", "validation"):
        share = source.options.get(name, 0.1)
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise DataRefused(f"{name} = {share!r} must be a share, such as 0.1.")
    return TextOptions(**source.options)


def prepared(source: DataSource, roots: tuple[str, ...]) -> PreparedText:
    """The text, read, divided and in codes.

    Raises:
        DataRefused: it is missing, or cannot be used so.
    """
    (path,) = text_files(source, roots)
    return prepare_text(path, options_of(source))


def inspect_text(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The shape of the windows; the whole text is read for it."""
    return _looked_into(source, roots)[0]


def explain_text(source: DataSource, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Its characters, windows and division, a sentence each."""
    return _looked_into(source, roots)[1]


def _looked_into(source: DataSource, roots: tuple[str, ...]) -> tuple[DataShape, tuple[str, ...]]:
    (path,) = files = text_files(source, roots)
    return _facts(path, marks_of(files), options_of(source))


@lru_cache(maxsize=64)
def _facts(path: Path, marks: Any, options: TextOptions) -> tuple[DataShape, tuple[str, ...]]:
    """Shape and sentences, once for each state of the file; the text itself is let go."""
    text = prepare_text(path, options)
    return text.shape, text.describe()
