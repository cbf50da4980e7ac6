"""What a job's attempts find out about its workers: lanes, how they step, what they share."""

from dataclasses import replace

from tuner.protocol import Ended
from tuner.scheduler.state import JobRun
from tuner.scheduler.turn import Turn


def lanes_found(ended: Ended) -> int | None:
    """How many lanes an attempt found to pay, or to fit into memory, if it looked."""
    lanes = ended.facts.get("lanes")
    return lanes if isinstance(lanes, int) and lanes >= 1 else None


def graph_found(ended: Ended) -> str | None:
    """How a probe found steps of lanes to be carried out best, if it looked."""
    graph = ended.facts.get("graph")
    return graph if graph in ("eager", "compile", "cudagraph") else None


def ground_found(ended: Ended) -> bool:
    """Whether a probe found that the job's code is to be imported once for all its workers."""
    return ended.facts.get("ground") is True


def heed_lanes(turn: Turn, job: JobRun, ended: Ended) -> JobRun:
    """Use fewer lanes where the worker found that so many do not fit into memory."""
    fitting = lanes_found(ended)
    if fitting is None or fitting >= job.lanes:
        return job
    turn.event(job.id, "lanes_reduced", data={"lanes": fitting, "before": job.lanes})
    return turn.put(replace(job, lanes=fitting))
