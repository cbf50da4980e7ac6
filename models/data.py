"""Data in memory: read and divided once, then mapped from a file that all workers share."""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models import image_data
from models.catalog import DataSource
from models.dataset import Dataset, Split, open_packed
from models.files import state_of, whole
from models.image_files import image_files
from models.importing import later
from models.table_entry import TABLES
from models.table_files import array_files, table_files, ts_files
from models.text_entry import text_files

__all__ = ["Dataset", "Split", "load"]

#: Part of a packed file's name: another layout gets another file.
_LAYOUT: Final = "4"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How data of one name is found and read."""

    files: Callable[[DataSource, tuple[str, ...]], tuple[Path, ...]]
    read: Callable[[DataSource, tuple[str, ...], int], Dataset]


def load(
    source: DataSource | str,
    *,
    roots: tuple[str, ...] = (),
    split_seed: int = 0,
    cache_dir: Path,
    device: str = "cpu",
) -> Dataset:
    """The data that `source` says, or is the name of, divided with `split_seed`, on `device`.

    The first call reads and divides it into a file below `cache_dir`; later ones map that file.

    Raises:
        DataRefused: it is missing or not what it says.
        KeyError: no data has this name.
    """
    source = DataSource(name=source) if isinstance(source, str) else source
    kind = _KINDS[source.name]
    path = cache_dir / f"{source.name}-{_key(kind, source, roots, split_seed)}.safetensors"
    dataset = open_packed(path, source.name)
    if dataset is None:
        with whole(path) as temporary:
            kind.read(source, roots, split_seed).pack(temporary)
        dataset = open_packed(path, source.name)
        assert dataset is not None
    with suppress(FileNotFoundError):
        os.utime(path)  # what was used longest ago is removed first
    return dataset if device == "cpu" else dataset.to(device)


def _key(kind: _Kind, source: DataSource, roots: tuple[str, ...], split_seed: int) -> str:
    """A name that changes when a file does, at the price of a stat."""
    state = state_of(kind.files(source, roots)), sorted(source.options.items())
    return hashlib.sha256(repr((_LAYOUT, split_seed, state)).encode()).hexdigest()[:32]


_TABLE: Final = _Kind(table_files, later("models.table_data:read_table"))
_ARRAYS: Final = _Kind(array_files, later("models.array_data:read_arrays"))
_KINDS: Final[Mapping[str, _Kind]] = {
    "digits": _Kind(image_data.digits_files, image_data.read_digits),
    "idx": _Kind(image_data.idx_files, image_data.read_idx),
    "fashion_mnist": _Kind(image_data.fashion_mnist_files, image_data.read_fashion_mnist),
    "images": _Kind(image_files, later("models.image_folder_data:read_images")),
    "npy": _ARRAYS,
    "npz": _ARRAYS,
    "ts": _Kind(ts_files, later("models.table_data:read_table")),
    "text": _Kind(text_files, later("models.text_data:read_text")),
    **{entry.name: _TABLE for entry in TABLES},
}
