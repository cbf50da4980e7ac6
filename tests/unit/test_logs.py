"""Capped logs: head and tail survive, and a reader sees where bytes are missing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.workers import logs
from tuner.workers.logs import CappedLog

CAP = 64


def write(path: Path, *chunks: bytes, cap: int = CAP) -> Path:
    with CappedLog(path, cap) as log:
        for chunk in chunks:
            log.write(chunk)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return logs.path_of(tmp_path / "logs", 7)


def on_disk(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob("*"))


def test_a_short_log_is_kept_whole(path: Path) -> None:
    assert logs.read(write(path, b"one\n", b"two\n")).data == b"one\ntwo\n"


def test_all_that_a_large_cap_keeps_is_read(path: Path) -> None:
    head = b"." * (3 * logs.DEFAULT_CAP_BYTES)
    write(path, head, b"the end", cap=8 * logs.DEFAULT_CAP_BYTES)
    assert logs.read(path).data == head + b"the end"


def test_nothing_written_is_nothing_on_the_disk(path: Path) -> None:
    page = logs.read(write(path))
    assert (page.data, page.next_offset, page.size) == (b"", 0, 0)
    assert not path.parent.exists()


def test_a_long_log_keeps_its_head_and_its_tail(path: Path) -> None:
    stream = bytes(range(256)) * 4
    page = logs.read(write(path, stream))
    head, notice, tail = page.data.partition(b"\n\xe2\x80\xa6 ")
    assert head == stream[: CAP // 2]
    left_out, _, tail = tail.partition(b" bytes left out \xe2\x80\xa6\n")
    assert stream.endswith(tail)
    assert len(tail) >= CAP // 4
    assert len(head) + int(left_out) + len(tail) == len(stream) == page.size
    assert notice


@given(chunks=st.lists(st.binary(max_size=200), max_size=20))
def test_the_cap_holds_and_what_is_kept_is_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    path = write(logs.path_of(tmp_path_factory.mktemp("log"), 1), *chunks)
    stream = b"".join(chunks)
    assert on_disk(path) <= CAP
    for offset in range(0, len(stream), 7):
        page = logs.read(path, offset=offset, limit=5)
        after = page.data.rpartition(" bytes left out …\n".encode())[2]
        assert stream[: page.next_offset].endswith(after)
        assert after == page.data or page.next_offset > CAP // 2
    assert logs.read(path, limit=0).size == len(stream)


def test_a_log_read_page_by_page_is_the_log(path: Path) -> None:
    write(path, b"x" * 20 + b"y" * 500 + b"z" * 20)
    pages, offset = b"", 0
    while (page := logs.read(path, offset=offset, limit=9)).data:
        pages, offset = pages + page.data, page.next_offset
    assert pages == logs.read(path).data


def test_a_follower_goes_on_where_it_stopped(path: Path) -> None:
    with CappedLog(path, CAP) as log:
        log.write(b"first\n")
        page = logs.read(path)
        log.write(b"second\n")
        assert logs.read(path, offset=page.next_offset).data == b"second\n"


def test_a_log_whose_writer_died_is_read_all_the_same(path: Path) -> None:
    log = CappedLog(path, CAP)
    log.write(b"a" * 1000 + b"last words")
    assert logs.tail(path).endswith("last words")  # never closed
    log.close()


def test_an_older_log_of_the_same_name_is_replaced_with_its_segments(path: Path) -> None:
    write(path, b"old" * 1000)
    assert logs.read(write(path, b"new")).data == b"new"


def test_the_tail_is_the_end_and_bytes_that_are_no_text_do_not_hinder(path: Path) -> None:
    write(path, b"\xff\xfe" + b"end")
    assert logs.tail(path, limit=4) == "�end"


def test_a_removed_log_leaves_no_segment(path: Path) -> None:
    write(path, b"x" * 1000)
    logs.remove(path)
    assert list(path.parent.iterdir()) == []
