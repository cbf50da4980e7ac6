"""Devices that fail again and again are out of use for a while."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from tuner.scheduler.turn import Turn
from tuner.slots import Device, Slot
from tuner.states import AttemptState, Reason

#: CUDA errors in a row after which the device, and not the training, is suspected.
MOST_CUDA_ERRORS: Final = 3
#: How long a device then is out of use; a scheduler that starts begins with all of them.
QUARANTINE: Final = timedelta(minutes=10)

_ENDED_WELL: Final = (AttemptState.SUCCEEDED, AttemptState.PRUNED)


def heed_end_on_device(turn: Turn, slot: Slot, state: AttemptState, reason: Reason | None) -> None:
    """Count a CUDA error against the device it came from; an attempt that ends well clears it.

    Other ends say nothing about the device.
    """
    for device in turn.state.inventory.devices:
        if device.name not in slot.gpus:
            continue
        if state in _ENDED_WELL:
            _put(turn, replace(device, cuda_errors=0))
        elif reason is Reason.CUDA_ERROR:
            _count_error(turn, device)


def _count_error(turn: Turn, device: Device) -> None:
    device = replace(device, cuda_errors=device.cuda_errors + 1)
    if device.cuda_errors >= MOST_CUDA_ERRORS and device.quarantined_until is None:
        until = turn.now + QUARANTINE
        device = replace(device, quarantined_until=until)
        data = {"device": device.name, "until": until.isoformat(), "errors": device.cuda_errors}
        _tell_all(turn, "device_quarantined", data)
    _put(turn, device)


def end_quarantines(turn: Turn) -> None:
    """Use the devices again whose time in quarantine is over."""
    for device in turn.state.inventory.devices:
        if device.quarantined_until is not None and device.quarantined_until <= turn.now:
            _put(turn, replace(device, quarantined_until=None, cuda_errors=0))
            _tell_all(turn, "device_back", {"device": device.name})


def _put(turn: Turn, device: Device) -> None:
    inventory = turn.state.inventory.changed(lambda d: device if d.name == device.name else d)
    turn.state = replace(turn.state, inventory=inventory)


def _tell_all(turn: Turn, kind: str, data: Mapping[str, Any]) -> None:
    for job in turn.state.jobs:
        turn.event(job, kind, data=data)
