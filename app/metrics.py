"""Figures for Prometheus, read when they are asked for."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tuner.disk import DiskUse
from tuner.service import Service

S = TypeVar("S", bound=StrEnum)


def registry_of(core: Service) -> CollectorRegistry:
    """A registry of its own, so that two applications in one process do not meet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(core))
    return registry


class ServiceCollector(Collector):
    """Counts of jobs, trials and hosts; each scrape costs a few queries."""

    def __init__(self, core: Service) -> None:
        self._core = core

    def describe(self) -> list[Metric]:
        """Nothing beforehand: registering must not need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        figures = self._core.statistics()
        yield _by_state("tuner_jobs", "Jobs by state.", figures.jobs)
        yield _by_state("tuner_trials", "Trials by state, of all jobs.", figures.trials)
        yield GaugeMetricFamily(
            "tuner_running_attempts", "Attempts under way.", value=figures.running_attempts
        )
        yield GaugeMetricFamily(
            "tuner_waiting_requests",
            "Requests that no scheduler has applied yet.",
            value=figures.waiting_requests,
        )
        yield GaugeMetricFamily(
            "tuner_hosts_alive",
            "Hosts whose scheduler was heard of lately.",
            value=figures.hosts_alive,
        )
        yield CounterMetricFamily(
            "tuner_busy_seconds",
            "Seconds that ended attempts have held their slots.",
            value=figures.busy_seconds,
        )
        if figures.disk is not None:
            yield from _disk(figures.disk)


def _disk(use: DiskUse) -> Iterator[Metric]:
    used = GaugeMetricFamily("tuner_disk_used_bytes", "What files take.", labels=["files"])
    for files in ("artifacts", "cache", "datasets"):
        used.add_metric([files], getattr(use, files))
    limit = GaugeMetricFamily("tuner_disk_limit_bytes", "What they may take.", labels=["files"])
    limit.add_metric(["artifacts"], use.artifacts_limit)
    limit.add_metric(["cache"], use.cache_limit)
    yield from (used, limit)


def _by_state(name: str, description: str, counts: Mapping[S, int]) -> Metric:
    family = GaugeMetricFamily(name, description, labels=["state"])
    for state, count in counts.items():
        family.add_metric([state], count)
    return family
