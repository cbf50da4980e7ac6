"""How many attempts a host has room for."""

import pytest

from tuner.slots import (
    MOST_SLOTS,
    Device,
    Inventory,
    Request,
    Slot,
    find,
    give_back,
    gpus_of,
    slots_for,
    take,
)

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
        (Request(gpus=2.0), 1),
        (Request(gpus=3.0), 0),
        (Request(cpus=1e-9), MOST_SLOTS),
        (Request(cpus=5e-324, gpus=5e-324), MOST_SLOTS),
    ],
)
def test_slots_are_counted_on_an_empty_host(request_: Request, slots: int) -> None:
    assert slots_for(request_, HOST) == slots
    busy = take(HOST, Slot(cpus=6.0, gpus=("cuda:0",), gpu_share=1.0))
    assert slots_for(request_, busy) == slots, "whatever runs on it now"
    assert slots_for(request_, Inventory(host="nowhere", devices=())) == 0


def test_several_gpus_are_whole_ones_and_are_named_in_one_word() -> None:
    slot = find(HOST, Request(gpus=2.0))
    assert slot is not None
    assert (slot.gpus, slot.gpu_share, slot.gpu_indices) == (("cuda:0", "cuda:1"), 1.0, (0, 1))
    assert (slot.device, gpus_of(slot.device)) == ("cuda:0,1", slot.gpus)
    held = take(HOST, slot)
    assert find(held, Request(gpus=0.25)) is None
    assert give_back(held, slot) == HOST
    one_busy = take(HOST, Slot(cpus=0.0, gpus=("cuda:1",), gpu_share=0.5))
    assert find(one_busy, Request(gpus=2.0)) is None


def test_no_gpu_is_the_cpu() -> None:
    assert Slot(cpus=1.0).device == "cpu"
    assert gpus_of("cpu") == ()
