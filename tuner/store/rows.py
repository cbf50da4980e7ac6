"""What the store's questions are answered with."""

from typing import Any, TypeAlias

import sqlalchemy as sa

#: A row whose columns are attributes; the function that returns it names them.
Row: TypeAlias = sa.Row[*tuple[Any, ...]]
