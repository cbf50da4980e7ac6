"""Of which tool a file is, and the spec that it comes to."""

from collections.abc import Mapping
from typing import Any

from tuner.conversion.distributions import are_distributions, from_distributions
from tuner.conversion.draft import as_yaml
from tuner.conversion.sweeps import from_sweep
from tuner.errors import Fault, SpecInvalid


def converted(document: Mapping[str, Any]) -> str:
    """The spec in YAML, with comments on what has no meaning here.

    `document` is a W&B sweep, or Optuna's distributions by name, each as JSON or its text.

    Raises:
        SpecInvalid: it is neither.
    """
    if are_distributions(document):
        return as_yaml(from_distributions(document))
    if "parameters" in document or "method" in document:
        return as_yaml(from_sweep(document))
    detail = (
        "This is no W&B sweep, which has `method` and `parameters`, and no mapping of names to "
        "Optuna's distributions, each with `name` and `attributes`."
    )
    raise SpecInvalid([Fault(pointer="", code="unknown-format", detail=detail)])
