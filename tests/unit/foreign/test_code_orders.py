"""What workers hear of a job's code, and when they serve one attempt alone."""

from pathlib import Path
from typing import Any

import pytest

from tests.factories import NOON, make_spec
from tests.unit.scheduler.world import make_job
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.planning.foreign import resolve_objective
from tuner.planning.resolve import resolve
from tuner.protocol import StartAttempt
from tuner.scheduler.state import Attempt, QueuedTrial
from tuner.settings import Settings
from tuner.slots import Slot
from tuner.spec import ObjectiveSpec, TrainingSpec, parse_spec

SHA = "ab" * 32


def order_of(home: Path, document: dict[str, Any]) -> StartAttempt:
    spec, allowed = parse_spec(document), ("theirs",)
    if isinstance(spec, ObjectiveSpec):
        plan = resolve_objective(spec, allowed)
    else:
        assert isinstance(spec, TrainingSpec)
        plan = resolve(spec, (), allowed)
    live = LiveJob(spec=spec, plan=plan, job=make_job(), slots=1)
    attempt = Attempt(
        id=1,
        job=1,
        trial=QueuedTrial(id=1, number=0, params={}),
        slot=Slot(cpus=1.0),
        started=NOON,
        last_progress=NOON,
        last_record=NOON,
        slot_since=NOON,
    )
    return start_order(attempt, live, Settings(home=home, allow_uploaded_code=True))


@pytest.mark.parametrize(
    ("parts", "is_foreign"),
    [
        ({}, False),
        ({"code": {"sha256": SHA}}, False),
        ({"loss": "theirs.a:Loss"}, True),
        ({"optimizer": "theirs.a:Opt"}, True),
        ({"augment": ["theirs.a:Blur"]}, True),
        ({"prepare": "theirs.a:Prep"}, True),
    ],
)
def test_where_a_part_is_by_import_path_the_worker_serves_no_other_attempt(
    tmp_path: Path, parts: dict[str, Any], is_foreign: bool
) -> None:
    assert order_of(tmp_path, make_spec(**parts)).foreign is is_foreign


@pytest.mark.parametrize("document", [make_spec(), {"objective": "theirs.a:objective"}])
def test_a_worker_is_told_where_the_code_is(tmp_path: Path, document: dict[str, Any]) -> None:
    assert order_of(tmp_path, document).payload["code"] is None
    code = order_of(tmp_path, {**document, "code": {"sha256": SHA}}).payload["code"]
    folder = str(tmp_path / "code" / SHA / "files")
    assert code == {"sha256": SHA, "folder": folder, "refused": None}
