"""What reading costs in a job of 100 trials and in one of 100,000: it shall be the same.

`GET job`, `best` and a page of 50 trials from the middle, on SQLite and PostgreSQL: through the
service's core in this process, and over HTTP from an api without other work. Both jobs are in the
same database, and take turns.

    python -m benchmarks.scaling [--trials 100000] [--requests 200] [--blocks 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import closing

from benchmarks.figures import surroundings, table
from benchmarks.load import Plan, measure
from benchmarks.processes import api
from benchmarks.scheduling import both_databases, empty_home
from benchmarks.stored import analyse, store_job
from tuner.db import Database
from tuner.service import Service
from tuner.settings import Settings

FEW = 100
PAGE = 50


def page_path(service: Service, job: str, count: int) -> str:
    """The path of the page in the middle of `count` trials, through the pages before it."""
    token = None
    for _ in range(count // 2 // 200):
        page = service.trials(job, state=None, sort="number", page_size=200, page_token=token)
        token = page.next_page_token
    after = f"&page_token={token}" if token else ""
    return f"/v1/jobs/{job}/trials?page_size={PAGE}{after}"


def paths_of(service: Service, job: str, count: int) -> dict[str, str]:
    """What is asked of a job."""
    return {
        "GET job": f"/v1/jobs/{job}",
        "best": f"/v1/jobs/{job}/best",
        "page of trials": page_path(service, job, count),
    }


def calls_of(service: Service, job: str) -> dict[str, Callable[[], object]]:
    """The same in this process; pages are the first, in the order of their values."""

    def page() -> object:
        return service.trials(job, state=None, sort="-value", page_size=PAGE, page_token=None)

    return {
        "GET job": lambda: service.job(job),
        "best": lambda: service.best(job),
        "page of trials": page,
    }


def core_seconds(
    few: Callable[[], object], many: Callable[[], object], count: int
) -> tuple[list[float], list[float]]:
    """Seconds of the calls, which take turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for call, found in zip((few, many), seconds, strict=True):
            began = time.perf_counter()
            call()
            found.append(time.perf_counter() - began)
    return seconds


def row(kind: str, what: str, few: list[float], many: list[float]) -> tuple[str, ...]:
    low, high = 1000 * statistics.median(few), 1000 * statistics.median(many)
    return (kind, what, f"{low:.2f} ms", f"{high:.2f} ms", f"{high / low:.2f}×")


def compare(
    kind: str, url: str, settings: Settings, given: argparse.Namespace
) -> list[tuple[str, ...]]:
    """The rows of one database."""
    with closing(Database(url)) as database:
        few, many = store_job(database, FEW), store_job(database, given.trials)
        analyse(database)
        service = Service(database, settings)
        rows = []
        of_few, of_many = calls_of(service, few), calls_of(service, many)
        for name in of_few:
            seconds = core_seconds(of_few[name], of_many[name], given.requests)
            rows.append(row(f"{kind}, core", name, *seconds))
        paths = {"few": paths_of(service, few, FEW)}
        paths["many"] = paths_of(service, many, given.trials)
        with api(settings, url) as port:
            targets = {f"{w} {n}": (port, path) for w, p in paths.items() for n, path in p.items()}
            plan = Plan(connections=1, requests=given.requests, blocks=given.blocks)
            found = measure(targets, plan)
    for name in paths["few"]:
        rows.append(row(f"{kind}, HTTP", name, found[f"few {name}"], found[f"many {name}"]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=5)
    given = parser.parse_args()
    rows = []
    with empty_home() as settings, both_databases(settings) as urls:
        for kind in ("SQLite", "PostgreSQL"):
            rows += compare(kind, urls[kind], settings, given)
    print(surroundings(), end="\n\n")
    print(table(("where", "what", f"{FEW} trials", f"{given.trials:,} trials", "ratio"), rows))


if __name__ == "__main__":
    main()
