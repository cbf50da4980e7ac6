"""A quick trial that leaves evidence of all that is done for it.

Imports little: every scheduler that leads starts a fork server, which imports this.
"""

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.files import write_whole
from tuner.protocol import Verdict
from tuner.trial import Context, Outcome

EPOCH_S = 0.02
#: Somebody who finds the lock of its trial taken writes this beside it.
DOUBLED = "doubled"
#: Which epochs were trained, by all attempts of a trial, and the last one that is saved.
TRAINED, SAVED = "trained", "saved"
SEEN = "seen"


def work(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Reports every epoch, each of which takes a moment, and goes on where an attempt ended.

    Nobody else is on the trial meanwhile. As the trainer does, it reports what was saved and not
    heard of, and saves after a report.
    """
    # Not among the artifacts, where what no row names is removed.
    folder = Path(payload["artifacts"]).parent / SEEN / payload["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{context.attempt}.pid").write_text(str(os.getpid()))
    with (folder / "lock").open("w") as lock, (folder / TRAINED).open("a") as trained:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (folder / DOUBLED).touch()
        saved = int((folder / SAVED).read_text()) if (folder / SAVED).exists() else 0
        last = payload["recipe"]["epochs"]
        for step in range(min(saved, payload["reported"]) + 1, last + 1):
            if step > saved:
                time.sleep(EPOCH_S)  # what training an epoch takes: time, in which others may die
                print(step, file=trained, flush=True)
            context.report(step, {payload["metric"]: step / 10})
            if step > saved:
                write_whole(folder / SAVED, str(step).encode())
            if context.verdict(step) is Verdict.STOP and context.stop_reason is not None:
                return Outcome.stopped(context.stop_reason)
        return Outcome.succeeded(last / 10, {"best_step": last})


def pass_probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """A probe that finds nothing wrong."""
    return Outcome.succeeded(0.0, {"parameters": 1})
