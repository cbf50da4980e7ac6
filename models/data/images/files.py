"""The files of an image folder or of a zip file of one. Light: every worker asks, few read."""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from zipfile import BadZipFile, ZipFile, is_zipfile

from models.catalog import DataRefused, DataSource
from models.data.roots import folder_or_file_below, lies_below

#: A packed image of more bytes is none that a network learns from.
_LARGEST_MEMBER: Final = 1 << 29


class ImageTree(Protocol):
    """Files by name, with ``/`` between folders, wherever they lie. Safe with several threads."""

    @property
    def where(self) -> str:
        """What to call it in messages."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all files."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What is on the disk; one of them changes when the contents do."""

    def open(self, name: str) -> BinaryIO:
        """The file of this name, at its beginning; to be closed."""


def image_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The files the images are read from.

    Raises:
        DataRefused: none are named, they are missing, or may not be read.
    """
    return image_tree(source, roots).files


def image_tree(source: DataSource, roots: tuple[str, ...]) -> ImageTree:
    """The folder or zip file the source names.

    Raises:
        DataRefused: none is named, it is missing or is neither, or it may not be read.
    """
    if source.path is None:
        raise DataRefused(
            "images need a folder with a folder for each class, or a zip file of one: "
            "write data: {images: FOLDER}."
        )
    path = folder_or_file_below(source.path, roots)
    if path.is_dir():
        return FolderTree(folder=path, links_below=tuple(Path(root).resolve() for root in roots))
    if not is_zipfile(path):
        raise DataRefused(
            f"{path.name} is neither a folder nor a zip file; name the folder that holds a folder "
            "for each class."
        )
    return ZipTree(path=path)


@dataclass(frozen=True, kw_only=True)
class FolderTree:
    """A folder, with all folders in it; links are followed as far as they stay below the roots."""

    folder: Path
    links_below: tuple[Path, ...]

    @property
    def where(self) -> str:
        return f"Folder {self.folder.name}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._walk(str(self.folder), "", frozenset())))

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in self.names)

    def open(self, name: str) -> BinaryIO:
        return (self.folder / name).open("rb")

    def _walk(self, folder: str, prefix: str, above: frozenset[str]) -> Iterator[str]:
        """`above` are the folders that lead here: a link back to one of them is left out."""
        real = os.path.realpath(folder)
        if real in above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_symlink():
                    self._check_link(entry.path, name)
                if entry.is_dir():
                    yield from self._walk(entry.path, f"{name}/", above | {real})
                elif entry.is_file():
                    yield name

    def _check_link(self, path: str, name: str) -> None:
        if not lies_below(Path(path).resolve(), self.links_below):
            raise DataRefused(
                f"{self.where}: {name} is a link that leads out of the data roots; put the file "
                "itself there."
            )


@dataclass(frozen=True, kw_only=True)
class ZipTree:
    """A zip file, read in place: nothing is unpacked, so names with dots lead nowhere."""

    path: Path

    @property
    def where(self) -> str:
        return f"File {self.path.name}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def open(self, name: str) -> BinaryIO:
        member = self._archive.getinfo(self._members[name])
        if member.file_size > _LARGEST_MEMBER:
            raise DataRefused(
                f"{self.where}: {name} takes {member.file_size:,} bytes unpacked, more than "
                f"{_LARGEST_MEMBER:,}; take it out."
            )
        try:
            # Whole at once, since images are looked at here and there.
            return BytesIO(self._archive.read(member))
        except (BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise DataRefused(
                f"{self.where}: {name} cannot be read ({error}); pack it anew, without a password."
            ) from error

    @cached_property
    def _archive(self) -> ZipFile:
        try:
            return ZipFile(self.path)
        except BadZipFile as error:
            raise DataRefused(f"{self.where} is damaged ({error}); copy it again.") from error

    @cached_property
    def _members(self) -> dict[str, str]:
        """Names in the archive by names without the one folder that all files lie in."""
        found = [member.filename for member in self._archive.infolist() if not member.is_dir()]
        shown = [name for name in found if not name.startswith("__MACOSX/")]
        tops = {name.partition("/")[0] for name in shown}
        if len(tops) == 1 and any(name.count("/") > 1 for name in shown):
            return {name.partition("/")[2]: name for name in sorted(shown)}
        return {name: name for name in sorted(shown)}
