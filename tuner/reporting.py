"""For training scripts: tell the service how a trial goes. Without the service it does nothing."""

import json
import os
from collections.abc import Mapping
from typing import Any


def report(
    metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **more: Any
) -> bool:
    """Report the metrics of `step`, counted upwards, or of the next one; whether it was.

    A metric is whatever ``float`` takes. Reported is what runs as a command of the service, and of
    several processes that train as one by the first. Nothing is waited for.

    Raises:
        TypeError: a metric is no number.
        ValueError: a metric is no number.
    """
    file = os.environ.get("TUNER_METRICS")
    if not file or os.environ.get("RANK", "0") != "0":
        return False
    line: dict[str, Any] = {} if step is None else {"step": int(step)}
    line |= {str(name): float(value) for name, value in {**(metrics or {}), **more}.items()}
    # In one call, so that what others append comes before or after, and never between.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)
    return True
