"""Training scripts as people bring them, and some that misbehave: ``python scripts.py WAY``.

Each is a command of its own, which knows of the service what its environment says.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from tuner import report

#: Longer than any test lasts.
FOREVER_S = 3600.0


def describes(*arguments: str) -> None:
    """Says on stdout what it finds around it, and reports a number."""
    facts = {
        "arguments": arguments,
        "environ": dict(os.environ),
        "folder": os.getcwd(),
        "stdin": sys.stdin.read(),
        "group": os.getpgrp() == os.getpid(),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }
    print("FACTS " + json.dumps(facts))  # noqa: T201
    report(loss=1.0)


def reports(*lines: str) -> None:
    """Writes these lines, then ends."""
    with open(os.environ["TUNER_METRICS"], "a") as file:
        file.writelines(line + "\n" for line in lines)


def trains(steps: str, stops_at: str = "0") -> None:
    """Goes on from its checkpoint; on SIGTERM it says so there and ends, with a code of its own.

    At one step it waits for SIGTERM, unless it has gone on from a checkpoint.
    """
    folder = Path(os.environ["TUNER_CHECKPOINT_DIR"])
    file = folder / "step.json"
    began = json.loads(file.read_text()) if file.exists() else 0

    def end(*_: object) -> NoReturn:
        (folder / "told").touch()
        sys.exit(42)

    signal.signal(signal.SIGTERM, end)
    for step in range(began + 1, int(steps) + 1):
        file.write_text(json.dumps(step))
        report(step=step, loss=1.0 / step, began=began)
        if step == int(stops_at) and not began:
            time.sleep(FOREVER_S)


def descends(x: str, steps: str) -> None:
    """Each step is better than the one before, and all are worse the larger x is."""
    for step in range(1, int(steps) + 1):
        report(step=step, loss=float(x) + 1 / step)


def waits(way: str = "") -> None:
    """Reports its id and never ends by itself; ``deaf`` to SIGTERM."""
    if way == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(step=1, loss=1.0, pid=os.getpid())
    time.sleep(FOREVER_S)


def silent() -> None:
    """Neither reports nor ends."""
    time.sleep(FOREVER_S)


def ends(code: str, *words: str) -> None:
    """Ends with the code, or by the signal where that is negative, after these words on stderr."""
    for word in words:
        print(word, file=sys.stderr)  # noqa: T201
    if int(code) < 0:
        os.kill(os.getpid(), -int(code))
    sys.exit(int(code))


def has_children(way: str) -> None:
    """Leaves a child, a daemon and a tree of deaf processes, and ends or waits."""
    deaf = "import signal, time; signal.signal(15, 1); time.sleep(3600)"
    subprocess.Popen([sys.executable, "-c", deaf])
    subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
    subprocess.run(["sh", "-c", "trap '' TERM; (sleep 3600 & (sleep 3600 & sleep 3600 &) &)"])
    for _ in range(20):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                os.setsid()
            time.sleep(FOREVER_S)
    report(step=1, loss=1.0)
    if way == "waits":
        time.sleep(FOREVER_S)


def floods(megabytes: str) -> None:
    """Prints on both streams more than any log keeps."""
    for _ in range(int(megabytes)):
        os.write(1, b"x" * (1 << 20))
        os.write(2, b"y" * (1 << 20))
    report(loss=1.0)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
