"""What the worker of a command is told."""

from tests.factories import NOON
from tests.unit.scheduler.world import make_job
from tuner.foreign.command import CommandOrder
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.planning.foreign import resolve_command
from tuner.protocol import StartAttempt
from tuner.scheduler.endings import GRACE
from tuner.scheduler.state import Attempt, QueuedTrial
from tuner.settings import Settings
from tuner.slots import Slot
from tuner.spec import Budget, CommandSpec
from tuner.states import Direction


def order_of(trial: QueuedTrial | None, settings: Settings) -> StartAttempt:
    document = {
        "command": ["python", "t.py", "{lr}"],
        "metric": "wer",
        "direction": "minimize",
        "space": {"lr": {"float": [0.1, 0.3]}},
        "search": {"seed": 10},
    }
    spec = CommandSpec.parse(document)
    job = make_job(budget=Budget(trials=2, epochs=7))
    live = LiveJob(spec=spec, plan=resolve_command(spec, allowed=True), job=job, slots=2)
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
    return start_order(attempt, live, settings)


def test_a_trial_is_told_its_values_and_where_it_had_come_to() -> None:
    settings = Settings(allow_commands=True)
    trial = QueuedTrial(id=1, number=3, params={"lr": 0.25}, reported=4)
    start = order_of(trial, settings)
    assert (start.program, start.foreign) == ("tuner.foreign.command:run", True)
    order = CommandOrder.of(start.payload)
    assert order.command == ("python", "t.py", "{lr}")
    assert (order.params, order.number, order.seed) == ({"lr": 0.25}, 3, 13)
    assert (order.metric, order.direction) == ("wer", Direction.MINIMIZE)
    assert (order.epochs, order.reported, order.allowed) == (7, 4, True)
    assert order.folder.parent.parent == settings.trial_folders
    assert order.folder.name == "3"


def test_a_probe_is_told_the_default_values() -> None:
    start = order_of(None, Settings())
    assert start.program == "tuner.foreign.command:probe"
    order = CommandOrder.of(start.payload)
    assert (order.params, order.number, order.allowed) == ({"lr": 0.2}, 0, False)


def test_a_command_is_killed_before_its_worker_would_be() -> None:
    """What it has saved, and its end, are heard of in between."""
    order = CommandOrder.of(order_of(None, Settings()).payload)
    assert 0 < order.grace_s < GRACE.total_seconds()
