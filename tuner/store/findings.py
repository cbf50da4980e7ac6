"""What the attempts of a job found out about its workers."""

from typing import Any

import sqlalchemy as sa

from tuner.db import attempts
from tuner.states import Reason


def lanes_found(connection: sa.Connection, job: int) -> int | None:
    """The fewest lanes that an attempt of the job found to pay, or to fit into memory."""
    return min(_found(connection, job, "lanes"), default=None)


def graph_found(connection: sa.Connection, job: int) -> str | None:
    """How the job's probe found steps of lanes to be carried out best, if it looked."""
    return next(iter(_found(connection, job, "graph")), None)


def ground_found(connection: sa.Connection, job: int) -> bool:
    """Whether the job's probe found that its code is to be imported once for all its workers."""
    return True in _found(connection, job, "ground")


def _found(connection: sa.Connection, job: int, name: str) -> list[Any]:
    query = sa.select(attempts.c.facts).where(
        attempts.c.job_id == job,
        sa.or_(attempts.c.trial_id.is_(None), attempts.c.reason == Reason.PREEMPTED),
    )
    return [facts[name] for facts in connection.scalars(query) if facts and name in facts]
