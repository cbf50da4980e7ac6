"""Devices: what affinity, control groups and NVIDIA's library say, and nothing invented."""

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from models import cgroup
from models.memory import available_memory
from tuner.workers.inventory import inventory


class Nvml:
    """NVIDIA's library on a host with three GPUs."""

    uuids = ("GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, replacement in {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlDeviceGetCount": lambda: len(self.uuids),
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetUUID": lambda handle: self.uuids[handle],
            "nvmlDeviceGetName": lambda handle: f"Model {handle}",
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=80 << 30),
        }.items():
            monkeypatch.setattr(pynvml, name, replacement)


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("2,0", ["cuda:0", "cuda:2"]),
        ("GPU-bbbb", ["cuda:1"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_gpus_are_those_that_cuda_may_see(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, names: list[str]
) -> None:
    Nvml().install(monkeypatch)
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    gpus = [device for device in inventory(environ).devices if device.kind == "cuda"]
    assert [gpu.name for gpu in gpus] == names
    assert all((gpu.capacity, gpu.free, gpu.memory_mb) == (1.0, 1.0, 81920) for gpu in gpus)


def test_without_nvidias_library_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert [device.kind for device in inventory({}).devices] == ["cpu"]


def test_cores_beyond_the_affinity_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert inventory({"CUDA_VISIBLE_DEVICES": ""}).devices[0].capacity <= 1.0


def test_a_quota_of_half_a_core_is_half_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "cpu_quota", lambda: 0.5)
    assert inventory({"CUDA_VISIBLE_DEVICES": ""}).devices[0].free == 0.5


def test_the_inventory_does_not_import_torch() -> None:
    code = (
        "import sys; from tuner.workers.inventory import inventory; inventory(); "
        "import tuner.executors.local; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def group(root: Path, own: str, **files: str) -> tuple[Path, Path]:
    """A tree of control groups: ``folder__file_name`` holds the given text."""
    for name, text in files.items():
        folder, _, file = name.rpartition("__")
        path = root / folder.replace("__", "/") / file.replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    membership = root / "own"
    membership.write_text(own)
    return root, membership


def test_the_tightest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    tree = group(
        tmp_path,
        "0::/pod/container\n",
        pod__cpu_max="150000 100000\n",
        pod__container__cpu_max="max 100000\n",
        pod__memory_max="1073741824\n",
        pod__container__memory_max="max\n",
    )
    assert cgroup.cpu_quota(*tree) == 1.5
    assert cgroup.memory_limit(*tree) == 1 << 30


def test_processes_killed_for_want_of_memory_are_counted_as_version_two_has_it(
    tmp_path: Path,
) -> None:
    own, events = tmp_path / "own", tmp_path / "pod/job/memory.events"
    own.write_text("0::/pod/job\n")
    events.parent.mkdir(parents=True)
    events.write_text("low 0\nhigh 7\nmax 5\noom 4\noom_kill 2\noom_group_kill 1\n")
    assert cgroup.OomKills(tmp_path, own).count() == 2


def test_the_first_version_of_control_groups_is_read_as_well(tmp_path: Path) -> None:
    root, own = tmp_path, tmp_path / "own"
    own.write_text("4:memory:/job\n3:cpu,cpuacct:/job\n2:name=systemd:/x\n")
    for name, text in {
        "cpu/job/cpu.cfs_quota_us": "50000",
        "cpu/job/cpu.cfs_period_us": "100000",
        "memory/job/memory.limit_in_bytes": "2097152",
        "memory/job/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup.cpu_quota(root, own) == 0.5
    assert cgroup.memory_limit(root, own) == 2 << 20
    assert cgroup.OomKills(root, own).count() == 3


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("0::/pod/job", ("memory.max", "memory.current")),
        ("4:memory:/pod/job", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
    ],
)
def test_a_group_may_still_take_what_it_and_those_above_leave_free(
    line: str, names: tuple[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(line)
    limit, used = names
    top = tmp_path if line.startswith("0") else tmp_path / "memory"
    for name, text in {
        f"pod/{limit}": "5000",
        f"pod/{used}": "4500",
        "pod/memory.stat": "anon 3000\ninactive_file 1200\nactive_file 300",
        f"pod/job/{limit}": "4000",
        f"pod/job/{used}": "1000",
    }.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup.memory_free(tmp_path, own) == 1700
    (top / f"pod/{used}").write_text("9000")
    assert cgroup.memory_free(tmp_path, own) == 0


@pytest.mark.parametrize(("group_bytes", "expected"), [(math.inf, 900), (500.0, 500), (1e6, 900)])
def test_memory_is_available_as_far_as_host_and_group_allow(
    group_bytes: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=900))
    monkeypatch.setattr(cgroup, "memory_free", lambda: group_bytes)
    assert available_memory() == expected


def test_where_nothing_is_limited_everything_is_allowed(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert cgroup.cpu_quota(nowhere, nowhere) == math.inf
    assert cgroup.memory_limit(nowhere, nowhere) == math.inf
    assert cgroup.OomKills(nowhere, nowhere).count() == 0
    assert cgroup.memory_free(nowhere, nowhere) == math.inf


def test_an_operator_may_give_fewer_cores_than_there_are() -> None:
    (cpu, *_) = inventory({"CUDA_VISIBLE_DEVICES": ""}, most_cpus=0.5).devices
    assert (cpu.capacity, cpu.free) == (0.5, 0.5)
