"""``tuner doctor``: what could keep the service from working here, each with a remedy."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

from models.catalog import DataRefused, DataSource
from models.entries import catalog
from tuner.artifacts.opening import open_store
from tuner.disk import in_words, measure
from tuner.errors import TunerError
from tuner.invariants.check import Checkup
from tuner.serving.database_findings import database
from tuner.serving.exposure import check_exposure
from tuner.serving.findings import Finding, Status
from tuner.serving.installation import check_installation
from tuner.serving.listening import PortTaken, listen, url_of
from tuner.serving.quarantined import quarantined
from tuner.settings import Settings
from tuner.workers.inventory import inventory

OLDEST_PYTHON: Final = (3, 11)
SCARCE_DISK_GB: Final = 2.0
TORCH_TIMEOUT_S: Final = 120.0
#: In a process of its own: importing torch takes seconds and may end the process that does it.
TORCH_PROBE: Final = """
import torch
cuda = torch.version.cuda
gpus = torch.cuda.device_count()
print(torch.__version__, f"CUDA {cuda}, {gpus} GPUs" if cuda else "CPU only")
"""


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings, checks: Sequence[Check] | None = None) -> list[Finding]:
    """Carry out the checks, by default all; one that fails is a finding, never an exception."""
    chosen = CHECKS if checks is None else checks
    return [finding for check in chosen for finding in _findings(check, settings)]


def to_json(findings: Sequence[Finding], checked: Checkup | None = None) -> str:
    """The findings for scripts, with the checkup of the database where one was made."""
    answer: dict[str, Any] = {"findings": [asdict(finding) for finding in findings]}
    if checked is not None:
        answer["checkup"] = asdict(checked)
    return json.dumps(answer, indent=2)


def _findings(check: Check, settings: Settings) -> Iterator[Finding]:
    subject = check.__name__
    try:
        yield from check(settings)
    except TunerError as error:
        yield Finding(subject=subject, status="broken", detail=str(error), remedy=error.hint or "")
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        detail = f"{type(error).__name__}: {error}"
        yield Finding(subject=subject, status="broken", detail=detail)


def python(settings: Settings) -> Iterator[Finding]:
    """The interpreter."""
    new_enough = sys.version_info >= OLDEST_PYTHON
    yield Finding(
        subject="python",
        status="ok" if new_enough else "broken",
        detail=f"{sys.version.split()[0]} at {sys.executable}, tuner {version('tuner')}",
        remedy="" if new_enough else "Install Python 3.11 or newer.",
    )


def packages(settings: Settings) -> Iterator[Finding]:
    """Whether `app` and `models` are ours."""
    check_installation()
    yield Finding(subject="packages", status="ok", detail="app, models and tuner are ours")


def torch(settings: Settings) -> Iterator[Finding]:
    """PyTorch, in a process of its own."""
    if importlib.util.find_spec("torch") is None:
        remedy = "pip install torch"
        yield Finding(subject="torch", status="broken", detail="not installed", remedy=remedy)
        return
    probe = subprocess.run(
        [sys.executable, "-P", "-c", TORCH_PROBE],
        capture_output=True,
        text=True,
        timeout=TORCH_TIMEOUT_S,
        check=False,
    )
    if probe.returncode:
        last = (probe.stderr.strip().splitlines() or [f"exit code {probe.returncode}"])[-1]
        yield Finding(subject="torch", status="broken", detail=last, remedy="Install torch anew.")
    else:
        yield Finding(subject="torch", status="ok", detail=probe.stdout.strip())


def devices(settings: Settings) -> Iterator[Finding]:
    """What trials may use."""
    found = inventory()
    ends = quarantined(settings, found.host)
    for device in found.devices:
        share = f"{device.capacity:g} cores" if device.kind == "cpu" else "one GPU"
        detail = f"{device.name}: {share}, {device.memory_mb / 1024:.1f} GB, {device.model}"
        if (until := ends.get(device.name)) is None:
            yield Finding(subject="device", status="ok", detail=detail)
            continue
        detail += f"; out of use until {until:%H:%M:%S} UTC: three CUDA errors in a row"
        remedy = "Look at its attempts (tuner show JOB TRIAL); a new scheduler tries it again."
        yield Finding(subject="device", status="warning", detail=detail, remedy=remedy)


def home(settings: Settings) -> Iterator[Finding]:
    """Where everything is stored."""
    existing = next(path for path in (settings.root, *settings.root.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        detail = f"{existing} cannot be written"
        yield Finding(subject="home", status="broken", detail=detail, remedy="Set TUNER_HOME.")
        return
    free_gb = shutil.disk_usage(existing).free / 2**30
    scarce = free_gb < SCARCE_DISK_GB
    yield Finding(
        subject="home",
        status="warning" if scarce else "ok",
        detail=f"{settings.root}, {free_gb:.1f} GB free",
        remedy="Make room, or set TUNER_HOME: checkpoints need it." if scarce else "",
    )


def disk(settings: Settings) -> Iterator[Finding]:
    """What the service's files take, and may."""
    use = measure(settings, open_store(settings.artifact_root))
    detail = (
        f"{in_words(use.artifacts)} of checkpoints, networks and logs "
        f"(TUNER_DISK_GB allows {in_words(use.artifacts_limit)}), "
        f"{in_words(use.cache)} of decoded data ({in_words(use.cache_limit)}), "
        f"{in_words(use.datasets)} uploaded"
    )
    remedy = "Nothing new starts: tuner delete JOB, or raise TUNER_DISK_GB." if use.full else ""
    status: Status = "broken" if use.full else "ok"
    yield Finding(subject="disk", status=status, detail=detail, remedy=remedy)


def address(settings: Settings) -> Iterator[Finding]:
    """Whether the server can listen, or does already."""
    check_exposure(settings)
    url = url_of(settings.host, settings.port)
    try:
        listen(settings.host, settings.port).close()
    except PortTaken as taken:
        if not taken.ours:
            raise
        yield Finding(subject="address", status="ok", detail=f"a Tuner serves at {url}")
    else:
        yield Finding(subject="address", status="ok", detail=f"{url} is free")


def code(settings: Settings) -> Iterator[Finding]:
    """Whose code trials may run, and whether it can be got."""
    repositories = (*map(str, settings.code_roots), *settings.allowed_git)
    allowed = [
        *(f"module {name}" for name in settings.allowed_code),
        *(f"repositories below {place}" for place in repositories),
        *(["anything that is uploaded"] if settings.allow_uploaded_code else []),
        *(["commands"] if settings.allow_commands else []),
    ]
    detail = f"trials may run {', '.join(allowed) or 'ours alone'}"
    yield Finding(subject="code", status="ok", detail=detail)
    if repositories and shutil.which("git") is None:
        detail = "TUNER_CODE_ROOTS or TUNER_ALLOWED_GIT is set, and there is no git"
        yield Finding(subject="code", status="broken", detail=detail, remedy="Install git.")
    for root in settings.repository_roots:
        if not root.is_dir():
            detail = f"TUNER_CODE_ROOTS names {root}, which is no folder"
            yield Finding(subject="code", status="warning", detail=detail, remedy="Make it.")


def data(settings: Settings) -> Iterator[Finding]:
    """The data sets known by name."""
    for entry in catalog().data.values():
        if entry.needs_path:
            continue
        try:
            shape = entry.inspect(DataSource(name=entry.name), settings.roots)
        except DataRefused as refused:
            yield Finding(subject="data", status="warning", detail=f"{entry.name}: {refused}")
        else:
            detail = f"{entry.name}: {shape.train_rows:,} to train, {shape.val_rows:,} to validate"
            yield Finding(subject="data", status="ok", detail=detail)


CHECKS: Final[Sequence[Check]] = (
    python,
    packages,
    torch,
    devices,
    home,
    disk,
    database,
    address,
    code,
    data,
)
