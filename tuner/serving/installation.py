"""Whether the packages this process would import are ours.

`app` and `models` are names that other projects have too.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import tuner
from tuner.errors import TunerError

PACKAGES: Final = ("app", "models")


class PackageShadowed(TunerError):
    """A package of another project would be imported in place of ours."""

    hint = "Start from another folder, or take that folder out of PYTHONPATH."

    def __init__(self, shadows: dict[str, str]) -> None:
        found = ", ".join(f"{name} at {place}" for name, place in shadows.items())
        super().__init__(f"Packages of another project hide ours: {found}.")
        self.shadows = shadows


def check_installation() -> None:
    """Make sure that our packages are found.

    Raises:
        PackageShadowed: others stand in their place.
    """
    shadows = shadowed()
    if shadows:
        raise PackageShadowed(shadows)


def shadowed() -> dict[str, str]:
    """Our packages in whose place others are found, and where those are."""
    ours = Path(tuner.__file__).resolve().parent.parent
    places = {name: _place(name) for name in PACKAGES}
    return {name: place for name, place in places.items() if Path(place).parent != ours}


def _place(name: str) -> str:
    spec = find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return str(Path(places[0]).resolve()) if places else "nowhere"
