"""What the store's questions are answered with."""

from typing import Any, TypeAlias

import sqlalchemy as sa

from tuner.asking import Asker

#: A row whose columns are attributes; the function that returns it names them.
Row: TypeAlias = sa.Row[*tuple[Any, ...]]

#: What reads: in a transaction, or a question at a time.
Reader: TypeAlias = sa.Connection | Asker
