"""Frames over a real socket pair: whole messages, whatever the bytes come in."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.protocol import (
    ChannelClosed,
    Ended,
    Judged,
    ProtocolViolated,
    Reported,
    StartAttempt,
    StopAttempt,
    Verdict,
)
from tuner.states import AttemptState, Reason
from tuner.workers.frames import MAX_FRAME_BYTES, ExecutorChannel, WorkerChannel, frame

REPORT = Reported(attempt=1, step=2, metrics={"loss": 0.5})


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_that_comes_byte_by_byte_is_one_message(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    channel = ExecutorChannel(pair[0])
    seen: list[object] = []
    for byte in frame(REPORT):
        assert seen == []
        pair[1].send(bytes([byte]))
        seen += channel.receive()
    assert seen == [REPORT]


def test_many_messages_in_one_piece_are_many_messages(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    channel = ExecutorChannel(pair[0])
    pair[1].sendall(frame(REPORT) * 5)
    assert list(channel.receive()) == [REPORT] * 5
    assert not channel.ended


def test_messages_before_a_broken_one_are_heard(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    channel = ExecutorChannel(pair[0])
    pair[1].sendall(frame(REPORT) + b"\0\0\0\x01x")
    messages = channel.receive()
    assert next(messages) == REPORT
    with pytest.raises(ProtocolViolated):
        next(messages)


@given(data=st.binary(min_size=1, max_size=200))
def test_no_bytes_bring_anything_but_messages_or_a_refusal(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = ExecutorChannel(ours)
        theirs.sendall(data)
        with suppress(ProtocolViolated):
            assert list(channel.receive()) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "Reported", "attempt": "1", "step": 1, "metrics": {}}',
        b'{"type": "Reported", "attempt": 1, "step": null, "metrics": {}}',
        b'{"type": "Reported", "attempt": 1, "step": 1, "metrics": {"loss": "low"}}',
        b'{"type": "Progressed", "attempt": 1, "step": 1, "done": 3, "total": 2, "metrics": {}}',
        b'{"type": "Progressed", "attempt": 1, "step": 1, "done": 0, "total": 0, "metrics": {}}',
        b'{"type": "Progressed", "attempt": 1, "step": 1, "done": -1, "total": 1, "metrics": {}}',
        b'{"type": "Ended", "attempt": 1, "state": "succeeded", "value": "high"}',
        b'{"type": "Ended", "attempt": 1, "state": "delighted"}',
        b'{"type": "Ended", "attempt": 1, "state": "failed", "unknown": 1}',
        b'{"type": "WorkerEnded", "attempts": [1], "exit_code": 0, "detail": ""}',
        b"[" * 5000,
        b"null",
    ],
)
def test_a_message_with_a_field_of_the_wrong_kind_is_refused(
    pair: tuple[socket.socket, socket.socket], body: bytes
) -> None:
    pair[1].sendall(len(body).to_bytes(4) + body)
    with pytest.raises(ProtocolViolated):
        list(ExecutorChannel(pair[0]).receive())


def test_what_the_socket_does_not_take_is_sent_later(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    channel, worker = ExecutorChannel(pair[0]), WorkerChannel(pair[1])
    start = StartAttempt(attempt=1, program="a:b", payload={"text": "x" * 3_000_000})
    channel.send(start)
    assert channel.congested
    received = b""
    size = len(frame(start))
    while len(received) < size:
        received += pair[1].recv(1 << 16)
        channel.flush()
    assert received == frame(start)
    assert not channel.congested
    channel.send(Judged(attempt=1, step=1, verdict=Verdict.STOP))
    assert worker.receive() == Judged(attempt=1, step=1, verdict=Verdict.STOP)


def test_a_closed_end_is_noticed_on_both_sides(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    channel, worker = ExecutorChannel(pair[0]), WorkerChannel(pair[1])
    pair[1].shutdown(socket.SHUT_RDWR)
    assert list(channel.receive()) == []
    assert channel.ended
    channel.send(Judged(attempt=1, step=1, verdict=Verdict.STOP))
    assert not channel.congested
    with pytest.raises(ChannelClosed):
        worker.receive()
    with pytest.raises(ChannelClosed):
        worker.send(REPORT)


def test_what_has_not_come_whole_is_not_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    worker, stop = WorkerChannel(pair[1]), StopAttempt(attempt=1, reason=Reason.CANCELLED)
    assert worker.receive_now() is None
    pair[0].sendall(frame(stop)[:-1])
    assert worker.receive_now() is None
    pair[0].sendall(frame(stop)[-1:] + frame(stop))
    assert [worker.receive_now() for _ in range(3)] == [stop, stop, None]
    pair[0].close()
    with pytest.raises(ChannelClosed):
        worker.receive_now()


def test_a_message_beyond_the_limit_is_not_sent() -> None:
    facts = {"text": "x" * MAX_FRAME_BYTES}
    with pytest.raises(ValueError, match="at most"):
        frame(Ended(attempt=1, state=AttemptState.SUCCEEDED, facts=facts))
