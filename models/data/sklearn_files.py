"""scikit-learn's data files, found without importing it, which takes a second."""

from importlib.util import find_spec
from pathlib import Path

from models.catalog import DataRefused


def sklearn_files(names: tuple[str, ...], *, who: str) -> tuple[Path, ...]:
    """The files of these names; `who` begins the sentence about what is missing.

    Raises:
        DataRefused: scikit-learn is not installed, or came without one of them.
    """
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataRefused(f"{who} with scikit-learn, which is missing: pip install scikit-learn.")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    paths = tuple(folder / name for name in names)
    for path in paths:
        if not path.is_file():
            raise DataRefused(f"There is no {path}; install scikit-learn anew.")
    return paths
