"""The api's answers with 100,000 trials stored and workers reporting, beside a bare FastAPI hello.

PostgreSQL holds 90 jobs of 1,000 trials, one of 10,000, one of 10 trials × 100 steps and one of
1,000 × 1,000; a scheduler trains on every core, its workers niced below the api. In the same
minutes, taking turns, by a load generator in a process of its own, with 1 and with 4 connections:
`GET job`, `best`, a page of 50 trials, and a FastAPI route that says hello, served alike. Then
again while the dashboard's process loads the study of 10,000 trials. SQLite and the submission
of jobs stand beside it.

    python -m benchmarks.api [--jobs 90] [--requests 50] [--blocks 10] [--steps 1000]
"""

import argparse
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

from benchmarks.figures import quantile, surroundings, table
from benchmarks.load import Plan, measure
from benchmarks.processes import api, hello, scheduler
from benchmarks.scheduling import SPEC, both_databases, empty_home
from benchmarks.stored import analyse, store_job
from tuner.client import Client
from tuner.db import Database
from tuner.settings import Settings

TARGET = 2.0
STUDY_TRIALS = 10_000
SUBMISSIONS = 40
Row = tuple[str, ...]


def fill(url: str, given: argparse.Namespace) -> dict[str, str]:
    """Store the trials; the jobs that are asked for by what they are."""
    with closing(Database(url)) as database:
        study = store_job(database, STUDY_TRIALS)
        several = [store_job(database, 1000) for _ in range(given.jobs)]
        sizes = {(10, 100), (1000, given.steps)}
        sized = {f"{n:,} × {s:,}": store_job(database, n, steps=s) for n, s in sorted(sizes)}
        analyse(database)
    return {"study": study, "1,000 trials": several[len(several) // 2], **sized}


def targets_of(jobs: dict[str, str], port: int, bare: int) -> dict[str, tuple[int, str]]:
    """What is asked for, by the row it makes in the table."""
    targets = {"hello": (bare, "/")}
    for name, job in jobs.items():
        if name != "study":
            targets[f"GET job, {name}"] = (port, f"/v1/jobs/{job}")
            targets[f"best, {name}"] = (port, f"/v1/jobs/{job}/best")
            targets[f"page, {name}"] = (port, f"/v1/jobs/{job}/trials?page_size=50")
    return targets


def rows_of(circumstances: str, connections: int, found: dict[str, list[float]]) -> Iterator[Row]:
    """A row per target, each beside hello's of the same minutes."""
    bare = quantile(found["hello"], 0.99)
    for name, seconds in found.items():
        half, most = quantile(seconds, 0.5), quantile(seconds, 0.99)
        figures = (f"{1000 * half:.2f}", f"{1000 * most:.2f}", f"{most / bare:.2f}×")
        yield (circumstances, str(connections), name, *figures)


@contextmanager
def working(settings: Settings, url: str, client: Client) -> Iterator[None]:
    """A scheduler whose workers train and report all the while."""
    space = {"depth": 2, "width": 64, "batch_size": 28}
    budget = {"trials": 100_000, "epochs": 50}
    job = client.submit({**SPEC, "space": space, "budget": budget, "parallel": "auto"})
    with scheduler(settings, url):
        while not any(trial.last_step for trial in client.trials(job)):
            time.sleep(0.1)
        yield
        job.cancel()


@contextmanager
def dashboard_loading(port: int) -> Iterator[list[float]]:
    """The dashboard's process loads the largest study again and again; the seconds it took."""
    over, seconds = threading.Event(), list[float]()
    address = f"http://127.0.0.1:{port}/api/studies/1?after=0"

    def load() -> None:
        while not over.is_set():
            began = time.perf_counter()
            with urllib.request.urlopen(address, timeout=300) as answer:
                answer.read()
            seconds.append(time.perf_counter() - began)

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/dashboard/", timeout=60) as answer:
        answer.read()  # the process is started
    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()


def submit_row(kind: str, client: Client) -> Row:
    """How long the submission of a job takes."""
    seconds = []
    for _ in range(SUBMISSIONS):
        began = time.perf_counter()
        client.submit({**SPEC, "budget": {"trials": 1, "epochs": 1}})
        seconds.append(time.perf_counter() - began)
    figures = [f"{1000 * quantile(seconds, share):.2f}" for share in (0.5, 0.99)]
    return (f"{kind}, workers reporting", "1", "submit (client and all)", *figures, "")


def compare(kind: str, url: str, settings: Settings, given: argparse.Namespace) -> list[Row]:
    """The rows of one database."""
    jobs, rows = fill(url, given), list[Row]()
    with api(settings, url) as port, hello() as bare, Client(f"http://127.0.0.1:{port}") as client:
        targets = targets_of(jobs, port, bare)
        plans = [Plan(connections=c, requests=given.requests, blocks=given.blocks) for c in (1, 4)]
        with working(settings, url, client):
            for plan in plans:
                found = measure(targets, plan)
                rows += rows_of(f"{kind}, workers reporting", plan.connections, found)
            with dashboard_loading(port) as loads:
                for plan in plans:
                    found = measure(targets, plan)
                    rows += rows_of(f"{kind}, dashboard loading too", plan.connections, found)
            print(f"{kind}: the dashboard loaded {STUDY_TRIALS:,} trials {len(loads)} times")
            rows.append(submit_row(kind, client))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=90)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args()
    rows = []
    with empty_home() as settings, both_databases(settings) as urls:
        for kind in ("PostgreSQL", "SQLite"):
            rows += compare(kind, urls[kind], settings, given)
    print(surroundings(), end="\n\n")
    header = ("circumstances", "connections", "what", "p50, ms", "p99, ms", "÷ hello's p99")
    print(f"target: ≤ {TARGET:.0f}× hello's p99, on PostgreSQL\n")
    print(table(header, rows))


if __name__ == "__main__":
    main()
