"""What files take, and which of the decoded data go when there are too many."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from models.data.loading import load
from tests.factories import NOON
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.store import Stored
from tuner.disk import DiskUse, bytes_below, in_words, measure, trim_cache
from tuner.leader.disk_watch import EVERY, DiskWatch
from tuner.settings import Settings


def write(path: Path, size: int, *, minutes: int = 0) -> Path:
    """A file last used so many minutes after noon."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    at = (NOON + timedelta(minutes=minutes)).timestamp()
    os.utime(path, (at, at))
    return path


def test_everything_below_the_home_is_counted(settings: Settings) -> None:
    write(settings.artifacts / "jobs" / "a" / "m", 100)
    write(settings.artifacts / "logs" / "1", 20)
    write(settings.trial_folders / "job_1" / "0" / "newest.pt", 4)
    write(settings.cache / "c.safetensors", 3000)
    write(settings.datasets / "d" / "x.csv", 7)
    use = measure(settings, FolderStore(settings.artifacts))
    assert (use.artifacts, use.cache, use.datasets) == (124, 3000, 7)
    assert (use.artifacts_limit, use.cache_limit) == (100_000_000_000, 20_000_000_000)
    assert not use.full


def test_what_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert bytes_below(tmp_path / "nothing") == 0


def test_links_are_counted_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "far" / "large", 5000)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far")
    assert bytes_below(tmp_path / "here") < 500


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    old, new = (write(tmp_path / f"{at}.safetensors", 100, minutes=at) for at in (1, 3))
    middle = write(tmp_path / "predictors" / "2.onnx", 100, minutes=2)
    assert trim_cache(tmp_path, 150, in_use_since=None) == 200
    assert (old.exists(), middle.exists(), new.exists()) == (False, False, True)


def test_what_is_in_use_stays_however_much_it_is(tmp_path: Path) -> None:
    old, new = (write(tmp_path / f"{at}.safetensors", 100, minutes=at) for at in (1, 3))
    trim_cache(tmp_path, 0, in_use_since=NOON + timedelta(minutes=2))
    assert (old.exists(), new.exists()) == (False, True)


def test_locks_and_files_being_written_are_left_alone(tmp_path: Path) -> None:
    names = (".lock", ".a.safetensors.1234.tmp", ".b.safetensors")
    files = [write(tmp_path / name, 100) for name in names]
    assert trim_cache(tmp_path, 0, in_use_since=None) == 0
    assert all(file.exists() for file in files)


def test_compiled_steps_go_like_the_rest_whatever_they_are_called(tmp_path: Path) -> None:
    old = write(tmp_path / "compiled" / "fxgraph" / "ab", 100, minutes=1)
    lock = write(tmp_path / "compiled" / "locks" / "ab.lock", 100, minutes=1)
    new = write(tmp_path / "compiled" / "ab" / "main.so", 100, minutes=2)
    assert trim_cache(tmp_path, 100, in_use_since=None) == 100
    assert (old.exists(), lock.exists(), new.exists()) == (False, True, True)


def test_data_that_is_loaded_counts_as_used_now(tmp_path: Path) -> None:
    load("digits", cache_dir=tmp_path)
    (packed,) = tmp_path.glob("*.safetensors")
    os.utime(packed, (1.0, 1.0))
    load("digits", cache_dir=tmp_path)
    assert packed.stat().st_mtime > 1.0


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12_345_678, "12.3 MB"), (4.56e9, "4.56 GB"),
     (999_600, "1 MB"), (2e15, "2e+03 TB")],
)  # fmt: skip
def test_sizes_are_told_in_words(size: float, words: str) -> None:
    assert in_words(size) == words


def measured(watch: DiskWatch) -> DiskUse:
    """The next measurement; it is under way."""
    while (found := watch.look(None)) is None:
        pass
    return found


def test_the_watch_measures_again_when_it_is_time_and_keeps_the_cache_small(
    settings: Settings,
) -> None:
    now = [NOON]
    small = settings.model_copy(update={"cache_gb": 1e-6})
    pool = ThreadPoolExecutor(1)
    watch = DiskWatch(small, FolderStore(settings.artifacts), lambda: now[0], pool)
    cached = write(settings.cache / "c.safetensors", 1001)
    assert watch.look(None) is None
    assert measured(watch).cache == 0
    assert not cached.exists()
    write(settings.artifacts / "jobs" / "x", 5)
    assert [watch.look(None) for _ in range(3)] == [None] * 3
    now[0] += EVERY
    assert watch.look(None) is None
    assert measured(watch).artifacts == 5
    pool.shutdown()


class _Ailing(FolderStore):
    """A folder on a disk that fails once."""

    failures = 1

    def files(self, folder: str) -> list[Stored]:
        if self.failures:
            self.failures -= 1
            raise PermissionError(13, "Permission denied", folder)
        return super().files(folder)


def test_a_disk_that_cannot_be_read_is_measured_again_when_it_is_time(settings: Settings) -> None:
    now = [NOON]
    pool = ThreadPoolExecutor(1)
    watch = DiskWatch(settings, _Ailing(settings.artifacts), lambda: now[0], pool)
    write(settings.artifacts / "jobs" / "x", 5)
    assert watch.look(None) is None
    pool.submit(lambda: None).result()  # in order: the measurement has ended
    assert watch.look(None) is None
    now[0] += EVERY
    assert watch.look(None) is None
    assert measured(watch).artifacts == 5
    pool.shutdown()
