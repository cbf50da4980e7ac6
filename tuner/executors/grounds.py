"""What workers are forked from: one process for all, and one for each job whose code loads long.

Code of others is imported by a worker of its own for each attempt, so that nothing of one attempt
is left for the next. Where that takes long, a job has a *ground*: a fork server that has imported
its code once, from which its workers are forked.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tuner.executors.pool import WorkerPool
from tuner.executors.workers import End, Worker
from tuner.protocol import StartAttempt

#: Fork servers with code of jobs, beside the one for all; each takes as much memory.
MOST_GROUNDS: Final = 4
#: Nobody having been forked from it for so long, a ground goes.
KEPT_FOR_S: Final = 60.0

#: Makes the pool of a ground, given what to do with ended workers.
_NewPool = Callable[[Mapping[str, Any] | None, Callable[[Worker, End], None]], WorkerPool]


class Grounds:
    """The pools of one executor, by the ground their workers are forked from."""

    def __init__(
        self,
        new_pool: _NewPool,
        *,
        on_end: Callable[[Worker, End], None],
        clock: Callable[[], float],
    ) -> None:
        self._new_pool = new_pool
        self._on_end = on_end
        self._clock = clock
        self._pools: dict[str | None, WorkerPool] = {None: new_pool(None, self._take_leave)}
        #: When each ground was last asked for a worker, the longest ago first.
        self._asked: dict[str, float] = {}
        self._homes: dict[int, WorkerPool] = {}

    def take(self, order: StartAttempt) -> Worker:
        """A worker for `order`, as `WorkerPool.take` gives it."""
        pool = self._pool_of(order.ground)
        worker = pool.take(order)
        self._homes[id(worker)] = pool
        return worker

    def refill(self, order: StartAttempt) -> None:
        """Fork ahead for the next attempt of this kind."""
        self._pool_of(order.ground).refill()

    def keep(self, worker: Worker, order: StartAttempt) -> None:
        """See `WorkerPool.keep`."""
        self._homes[id(worker)].keep(worker, order)

    def end(self, worker: Worker, because: str) -> None:
        """Kill a worker with all that it started."""
        if (pool := self._homes.get(id(worker))) is not None:
            pool.end(worker, because)

    def tend(self) -> None:
        """Look after kept and stopped workers, and let go of grounds that nobody needs."""
        for pool in list(self._pools.values()):
            pool.dismiss_long_kept()
            pool.end_long_stopped()
        now = self._clock()
        for key, asked in list(self._asked.items()):
            if now - asked >= KEPT_FOR_S and not self._is_at_work(key):
                self._let_go(key)

    def close(self) -> None:
        """End everything, and wait for it."""
        for pool in self._pools.values():
            pool.close()

    def _pool_of(self, ground: Mapping[str, Any] | None) -> WorkerPool:
        if ground is None:
            return self._pools[None]
        key = json.dumps(ground, sort_keys=True)
        if key not in self._pools:
            self._make_room()
            if len(self._asked) >= MOST_GROUNDS:
                return self._pools[None]  # its workers import what they need themselves
            self._pools[key] = self._new_pool(ground, self._take_leave)
        self._asked.pop(key, None)
        self._asked[key] = self._clock()
        return self._pools[key]

    def _make_room(self) -> None:
        """Let go of the ground that was needed the longest ago, if there are as many as may be."""
        if len(self._asked) >= MOST_GROUNDS:
            idle = next((key for key in self._asked if not self._is_at_work(key)), None)
            if idle is not None:
                self._let_go(idle)

    def _is_at_work(self, key: str) -> bool:
        return self._pools[key] in self._homes.values()

    def _let_go(self, key: str) -> None:
        del self._asked[key]
        self._pools.pop(key).close()

    def _take_leave(self, worker: Worker, end: End) -> None:
        self._homes.pop(id(worker), None)
        self._on_end(worker, end)
