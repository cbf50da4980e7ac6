"""Many trials in one program, against one program per trial: trial-epochs a second, side by side.

Two tables. The engine: one core, no service; a training after the other in a warm process, and the
same trainings in lanes. Whole jobs, on two cores: the service without lanes and with `lanes: auto`,
a plain Optuna script in two warm processes on a journal file, and Ray Tune with `reuse_actors`, all
of them with random search over the learning rate, with successive halving as the service's `asha`
has it and without. One thread each (`OMP_NUM_THREADS=1`). Within a block each way takes a turn, and
another in reverse order; a ratio is of one block. Epochs are counted as they are done.

    python -m benchmarks.lanes [--blocks 5] [--job-blocks 3] [--nets mlp] [--ks 8 32 128]
                             [--tables engine jobs] [--minutes 12] [--quick]

No block begins once its table's share of the minutes is over. Fashion-MNIST takes part where it is:
`apt-get install dataset-fashion-mnist`. Ray Tune does where it is installed: `pip install
"ray[tune]"`.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from benchmarks.figures import surroundings, table
from benchmarks.lanes_engine import engine_ways
from benchmarks.lanes_jobs import BASE, RAY, job_ways, standing
from benchmarks.lanes_tasks import TASKS, Stock, Task, stocked
from benchmarks.turns import compared, take_turns

Row = tuple[str, ...]
#: When, on `time.monotonic`, no further block begins, for each of some parts that share the time.
Deadlines = Iterator[float]


def engine(arguments: argparse.Namespace, stock: Stock, tasks: Sequence[Task]) -> None:
    """Print the table of the engine."""
    rows: list[Row] = []
    deadlines = shared(60 * arguments.minutes * 0.4, parts=len(tasks))
    for task in tasks:
        bench = stock.bench(task)
        ways = engine_ways(bench, arguments.ks)
        done = take_turns(ways, blocks=arguments.blocks, until=next(deadlines))
        base = done["warm loop"]
        where = (task.name, task.data, f"{task.parameters(bench.data.shape):,}")
        rows += [
            (*where, way, *compared(works, base), str(len(base))) for way, works in done.items()
        ]
    print(f"\n{surroundings()}; one core, no service\n")
    header = ("network", "data", "parameters", "way", "trial-epochs/s", "÷ warm loop", "95 %")
    print(table((*header, "blocks"), rows), flush=True)


def whole_jobs(arguments: argparse.Namespace, stock: Stock, tasks: Sequence[Task]) -> None:
    """Print the table of whole jobs."""
    rows: list[Row] = []
    tasks = [task for task in tasks if task.trials]
    deadlines = shared(60 * arguments.minutes * 0.6, parts=2 * len(tasks))
    with standing(stock) as stand:
        for task in tasks:
            for pruner in ("none", "asha"):
                until = next(deadlines)
                if rows and time.monotonic() > until:
                    print(f"{task.name}, {pruner}: left out, the minutes are over.")
                    continue
                ways = job_ways(stand, task, pruner=pruner)
                done = take_turns(ways, blocks=arguments.job_blocks, until=until, once={RAY})
                for way, works in done.items():
                    jobs = 1 if way == RAY else 2
                    trials = task.trials * jobs / works[-1].seconds
                    cells = (*compared(works, done[BASE]), f"{trials:.1f}", str(len(works)))
                    rows.append((task.name, pruner, way, *cells))
    print(f"\n{surroundings()}; whole jobs, two cores\n")
    header = ("network", "pruner", "way", "trial-epochs/s", f"÷ {BASE}", "95 %", "trials/s")
    print(table((*header, "blocks"), rows), flush=True)


def shared(seconds: float, *, parts: int) -> Deadlines:
    """Each part has its share of the time, and what those before it have left of theirs."""
    began = time.monotonic()
    for part in range(parts):
        yield began + seconds * (part + 1) / parts


#: By the name that `--tables` has for it.
TABLES: dict[str, Callable[[argparse.Namespace, Stock, Sequence[Task]], None]] = {
    "engine": engine,
    "jobs": whole_jobs,
}


def quick(task: Task) -> Task:
    """As little of it as shows that everything runs."""
    return replace(task, epochs=1, loop=2, trials=min(task.trials, 8), job_epochs=3)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--job-blocks", type=int, default=3)
    parser.add_argument("--nets", nargs="+", default=[""], help="words of the names of networks")
    parser.add_argument("--ks", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def main() -> None:
    # Before torch is imported anywhere that computes: children inherit it.
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    arguments = parsed()
    if arguments.quick:
        arguments.blocks = arguments.job_blocks = 1
    # Rows enough for some twenty steps an epoch, as the digits have.
    with stocked(rows=1500) as stock:
        if stock.missing:
            print(stock.missing)
        tasks = [
            quick(task) if arguments.quick else task
            for task in TASKS
            if any(word in task.name for word in arguments.nets)
            and not (task.data == "fashion" and stock.missing)
        ]
        for name in arguments.tables:
            TABLES[name](arguments, stock, tasks)


if __name__ == "__main__":
    main()
