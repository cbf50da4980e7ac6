"""Devices and their shares: which attempt may use which part of which device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

#: Below this a share counts as nothing: fractions are sums of floats.
EPSILON = 1e-6
_CUDA = "cuda:"
#: More than any host has: what is asked for may be next to nothing.
MOST_SLOTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or the host's CPU cores taken together, with what is still free of it."""

    #: ``cpu`` or ``cuda:0``.
    name: str
    kind: str
    #: CPU cores for the CPU; 1.0 for a GPU.
    capacity: float
    free: float
    memory_mb: int
    model: str = ""
    #: CUDA errors in a row, no attempt having ended well on it in between.
    cuda_errors: int = 0
    #: Until then nothing starts on it.
    quarantined_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All devices of one executor."""

    host: str
    devices: tuple[Device, ...]

    def changed(self, change: Callable[[Device], Device]) -> "Inventory":
        """The inventory with every device as `change` makes it."""
        return replace(self, devices=tuple(map(change, self.devices)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one attempt needs: CPU cores, and a share of one GPU, or several whole ones."""

    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one attempt holds: cores of the host and, where asked, shares of GPUs."""

    cpus: float
    #: By name.
    gpus: tuple[str, ...] = ()
    #: Of each of them.
    gpu_share: float = 0.0

    @property
    def gpu_indices(self) -> tuple[int, ...]:
        """The GPUs' indices, as CUDA_VISIBLE_DEVICES counts."""
        return tuple(int(gpu.removeprefix(_CUDA)) for gpu in self.gpus)

    @property
    def device(self) -> str:
        """In one word: ``cpu``, ``cuda:0``, ``cuda:0,1``."""
        indices = ",".join(map(str, self.gpu_indices))
        return f"{_CUDA}{indices}" if indices else "cpu"


def gpus_of(device: str) -> tuple[str, ...]:
    """The GPUs that `Slot.device` names."""
    if not device.startswith(_CUDA):
        return ()
    return tuple(_CUDA + index for index in device.removeprefix(_CUDA).split(","))


def fits_empty(inventory: Inventory, request: Request) -> bool:
    """Whether `request` would fit if nothing else ran and no device were in quarantine."""
    empty = inventory.changed(lambda d: replace(d, free=d.capacity, quarantined_until=None))
    return find(empty, request) is not None


def slots_for(request: Request, inventory: Inventory) -> int:
    """How many slots for `request` there would be if nothing else ran; at most `MOST_SLOTS`."""
    found = sum(_shares(d, request.cpus) for d in inventory.devices if d.kind == "cpu")
    if request.gpus > 0:
        whole = max(1.0, request.gpus)
        gpus = [d for d in inventory.devices if d.kind == "cuda"]
        on_gpus = sum(_shares(d, request.gpus / whole) for d in gpus)
        found = min(found, on_gpus // whole)
    return int(min(found, MOST_SLOTS))


def _shares(device: Device, share: float) -> float:
    return (device.capacity + EPSILON) // share


def find(inventory: Inventory, request: Request) -> Slot | None:
    """A place for `request`, or None; the fullest GPUs that still hold it keep others whole."""
    cpus = sum(d.free for d in inventory.devices if d.kind == "cpu")
    if cpus + EPSILON < request.cpus:
        return None
    if request.gpus <= 0:
        return Slot(cpus=request.cpus)
    wanted, share = max(1, round(request.gpus)), min(1.0, request.gpus)
    gpus = [
        d
        for d in inventory.devices
        if d.kind == "cuda" and d.quarantined_until is None and d.free + EPSILON >= share
    ]
    if len(gpus) < wanted:
        return None
    tightest = sorted(gpus, key=lambda d: (d.free, d.name))[:wanted]
    return Slot(cpus=request.cpus, gpus=tuple(d.name for d in tightest), gpu_share=share)


def take(inventory: Inventory, slot: Slot) -> Inventory:
    """The inventory with `slot` held."""
    return _shift(inventory, slot, sign=-1)


def give_back(inventory: Inventory, slot: Slot) -> Inventory:
    """The inventory with `slot` free again."""
    return _shift(inventory, slot, sign=1)


def _shift(inventory: Inventory, slot: Slot, *, sign: int) -> Inventory:
    shares = {"cpu": slot.cpus, **dict.fromkeys(slot.gpus, slot.gpu_share)}
    return inventory.changed(lambda d: replace(d, free=d.free + sign * shares.get(d.name, 0.0)))
