"""A text file's catalogue entry. What reads it needs NumPy, and is imported when used."""

from pathlib import Path
from typing import Final

from models.catalog import DataEntry, DataRefused, DataSource
from models.data.roots import file_below
from models.importing import later


def text_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The text file. Light: every worker asks.

    Raises:
        DataRefused: none is named, or it may not be read.
    """
    if source.path is None:
        raise DataRefused("text needs a file: write data: {text: FILE}.")
    return (file_below(source.path, roots),)


TEXT: Final = DataEntry(
    name="text",
    summary="A text file in UTF-8, whose next character is predicted: data: {text: FILE}.",
    source="RFC 3629",
    inspect=later("models.data.texts.source:inspect_text"),
    explain=later("models.data.texts.source:explain_text"),
    options=("context", "test", "validation"),
    needs_path=True,
)
