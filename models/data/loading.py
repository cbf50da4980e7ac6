"""Data in memory: read and divided once, then mapped from a file that all workers share."""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.catalog import DataSource
from models.data.dataset import Dataset, Split, open_packed
from models.data.entry import PYTHON
from models.data.images.files import image_files
from models.data.tables.entry import TABLES
from models.data.tables.files import array_files, table_files, ts_files
from models.data.tensors import images
from models.data.texts.entry import text_files
from models.files import state_of, whole
from models.importing import later

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
    state: tuple[object, ...] = (
        state_of(kind.files(source, roots)),
        sorted(source.options.items()),
    )
    if source.digest:
        state = (*state, source.path, source.digest)
    return hashlib.sha256(repr((_LAYOUT, split_seed, state)).encode()).hexdigest()[:32]


_TABLE: Final = _Kind(table_files, later("models.data.tensors.tables:read_table"))
_ARRAYS: Final = _Kind(array_files, later("models.data.tensors.arrays:read_arrays"))
_KINDS: Final[Mapping[str, _Kind]] = {
    "digits": _Kind(images.digits_files, images.read_digits),
    "idx": _Kind(images.idx_files, images.read_idx),
    "fashion_mnist": _Kind(images.fashion_mnist_files, images.read_fashion_mnist),
    "images": _Kind(image_files, later("models.data.tensors.image_folders:read_images")),
    "npy": _ARRAYS,
    "npz": _ARRAYS,
    "ts": _Kind(ts_files, later("models.data.tensors.tables:read_table")),
    "text": _Kind(text_files, later("models.data.tensors.texts:read_text")),
    PYTHON.name: _Kind(lambda *_: (), later("models.data.tensors.made:read_made")),
    **{entry.name: _TABLE for entry in TABLES},
}
