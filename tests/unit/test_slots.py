"""How many attempts a host has room for."""

import pytest

from tuner.slots import MOST_SLOTS, Device, Inventory, Request, Slot, slots_for, take

CPU = Device(name="cpu", kind="cpu", capacity=8.0, free=8.0, memory_mb=1000)
GPUS = tuple(
    Device(name=f"cuda:{n}", kind="cuda", capacity=1.0, free=1.0, memory_mb=1000) for n in (0, 1)
)
HOST = Inventory(host="here", devices=(CPU, *GPUS))


@pytest.mark.parametrize(
    ("request_", "slots"),
    [
        (Request(), 8),
        (Request(cpus=3), 2),
        (Request(cpus=9), 0),
        (Request(gpus=0.25), 8),
        (Request(gpus=0.3), 6),
        (Request(gpus=1.0), 2),
        (Request(cpus=5, gpus=0.25), 1),
        (Request(cpus=1, gpus=1.5), 0),
        (Request(cpus=1e-9), MOST_SLOTS),
        (Request(cpus=5e-324, gpus=5e-324), MOST_SLOTS),
    ],
)
def test_slots_are_counted_on_an_empty_host(request_: Request, slots: int) -> None:
    assert slots_for(request_, HOST) == slots
    busy = take(HOST, Slot(cpus=6.0, gpu="cuda:0", gpu_share=1.0))
    assert slots_for(request_, busy) == slots, "whatever runs on it now"
    assert slots_for(request_, Inventory(host="nowhere", devices=())) == 0
