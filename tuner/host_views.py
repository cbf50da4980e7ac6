"""What the service answers about hosts: their devices, and what runs on them."""

from datetime import datetime

from tuner.views import View


class DeviceView(View):
    """A device of a host."""

    name: str
    kind: str
    model: str
    capacity: float
    free: float
    memory_mb: int
    utilisation: float
    #: Nothing starts on it until then: three CUDA errors in a row came from it.
    quarantined_until: datetime | None = None


class WorkerView(View):
    """An attempt under way."""

    attempt: int
    job: str
    trial: int | None
    device: str
    started_at: datetime


class HostView(View):
    """A scheduler's host: its devices and what runs on them."""

    name: str
    beat_at: datetime
    alive: bool
    devices: list[DeviceView]
    workers: list[WorkerView]
    #: Bytes of ``artifacts``, ``cache`` and ``datasets``, and two limits; None until measured.
    disk: dict[str, int] | None = None


class HostList(View):
    """All hosts that ever led; the living ones first."""

    hosts: list[HostView]
