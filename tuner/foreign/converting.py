"""``python -m tuner.foreign.converting CODE MODEL TARGET FORMAT [MODULE …]``.

As ``python -m models.exported.predictor``, for a network that needs code of its job's own: CODE is
what an order says of it, in JSON.
"""

import json
import sys
from collections.abc import Sequence

from models.exported import predictor
from models.importing import PartRefused
from tuner.foreign.entering import enter_code


def main(arguments: Sequence[str]) -> int:
    """Enter the code, and write the network."""
    code, *rest = arguments
    try:
        modules = enter_code(json.loads(code))
    except PartRefused as error:
        print(error, file=sys.stderr)  # noqa: T201
        return predictor.REFUSED
    return predictor.main([*rest, *modules])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
