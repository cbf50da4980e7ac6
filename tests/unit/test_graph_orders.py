"""`resources.graph`: what may be written, and what workers hear of it."""

from typing import Any

import pytest

from tests.factories import NOON, make_spec
from tests.unit.scheduler.world import make_job
from tuner.errors import SpecInvalid
from tuner.leader.grouping import graph_of
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.planning.resolve import resolve
from tuner.scheduler.state import Attempt, QueuedTrial
from tuner.settings import Settings
from tuner.slots import Slot
from tuner.spec import TrainingSpec


def spec_of(**resources: Any) -> TrainingSpec:
    return TrainingSpec.parse(make_spec(resources=resources))


def refusal_of(**resources: Any) -> tuple[str, str]:
    with pytest.raises(SpecInvalid) as caught:
        spec_of(**resources)
    (fault,) = caught.value.faults
    return fault.pointer, fault.detail


@pytest.mark.parametrize(
    ("graph", "at_first"),
    [("auto", "eager"), ("eager", "eager"), ("compile", "compile"), ("cudagraph", "cudagraph")],
)
def test_before_a_probe_has_looked_steps_are_what_was_asked_for(graph: str, at_first: str) -> None:
    assert graph_of(spec_of(graph=graph)) == at_first


def test_what_is_no_graph_is_refused() -> None:
    pointer, detail = refusal_of(graph="jit")
    assert pointer == "/resources/graph"
    assert "'jit'" in detail
    assert "'compile'" in detail


def test_a_cuda_graph_without_a_gpu_is_refused_with_the_remedy() -> None:
    assert refusal_of(gpus=0, graph="cudagraph") == (
        "/resources/graph",
        "resources.graph = 'cudagraph': it wants a GPU, and gpus is 0; ask for compile, or leave "
        "gpus out.",
    )
    assert spec_of(gpus=0.5, graph="cudagraph").resources.graph == "cudagraph"


def test_a_probe_hears_what_was_asked_for_and_a_trial_what_was_found() -> None:
    spec = spec_of(lanes=4)
    job = make_job(trials=20, lanes=4, graph="compile")
    live = LiveJob(spec=spec, plan=resolve(spec, ()), job=job, slots=2)

    def payload_of(trial: QueuedTrial | None) -> Any:
        attempt = Attempt(
            id=1,
            job=1,
            trial=trial,
            slot=Slot(cpus=1.0),
            started=NOON,
            last_progress=NOON,
            last_record=NOON,
            slot_since=NOON,
        )
        return start_order(attempt, live, Settings()).payload

    probe = payload_of(None)
    assert (probe["graph"], probe["trials"]) == ("auto", 20)
    assert payload_of(QueuedTrial(id=1, number=0, params={}))["graph"] == "compile"
