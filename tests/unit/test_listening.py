"""Addresses, and what the log says."""

import logging
import socket
import sys
import time

import pytest

from tuner.serving.listening import AddressRefused, inherited, listen, port_of, url_of
from tuner.serving.log_lines import LineFormatter


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8700"),
        ("0.0.0.0", "http://127.0.0.1:8700"),
        ("::", "http://[::1]:8700"),
        ("[::1]", "http://[::1]:8700"),
        ("tuner.lan", "http://tuner.lan:8700"),
    ],
)
def test_an_address_to_bind_becomes_one_to_visit(host: str, url: str) -> None:
    assert url_of(host, 8700) == url


def test_port_zero_takes_a_free_one_that_accepts() -> None:
    with listen("127.0.0.1", 0) as listener:
        socket.create_connection(("127.0.0.1", port_of(listener))).close()


def test_a_listener_is_taken_over_by_its_descriptor() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = port_of(listener)
        with inherited(listener.detach()) as taken:
            assert port_of(taken) == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused, match=host):
        listen(host, 0)


def test_an_event_is_one_line_with_its_facts() -> None:
    record = logging.makeLogRecord(
        {"name": "tuner.leader.loop", "levelname": "INFO", "msg": "trial pruned", "created": 0.0}
        | {"msecs": 5.0, "job": "job_1", "trial": 3, "why": 'a "b" c'}
    )
    formatter = LineFormatter()
    formatter.converter = time.gmtime
    assert formatter.format(record) == (
        "1970-01-01T00:00:00.005Z info tuner.leader.loop trial pruned "
        r'job=job_1 trial=3 why="a \"b\" c"'
    )


def test_a_traceback_follows_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        facts = {"name": "tuner.leader.loop", "levelname": "ERROR", "msg": "tick failed"}
        record = logging.makeLogRecord(facts | {"exc_info": sys.exc_info()})
    first, *_, last = LineFormatter().format(record).splitlines()
    assert first.endswith("tick failed")
    assert last == "ValueError: broken"
