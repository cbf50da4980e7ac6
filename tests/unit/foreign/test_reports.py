"""Lines of reports as they come, whole, in parts, and none."""

import json
from pathlib import Path
from typing import Any

import pytest

from tuner.foreign import reports
from tuner.foreign.reports import MOST_LINE_BYTES, Report, Reports, ReportsTooLong


class Lines:
    """A file of reports, and who reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remarks: list[str] = []
        self.reports = Reports(path, self.remarks.append)

    def append(self, text: str | bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    def new(self, *, ended: bool = False) -> list[Report]:
        return list(self.reports.new(ended=ended))


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    found = Lines(tmp_path / "metrics.jsonl")
    found.reports.begin()
    return found


def line(**values: Any) -> str:
    return json.dumps(values) + "\n"


def test_each_line_is_read_once(lines: Lines) -> None:
    assert lines.new() == []
    lines.append(line(step=1, loss=0.5))
    assert lines.new() == [Report(step=1, metrics={"loss": 0.5})]
    assert lines.new() == []
    lines.append(line(step=2, loss=0.25) + line(step=5, acc=1))
    assert [report.step for report in lines.new()] == [2, 5]


def test_a_line_without_its_end_waits_for_it(lines: Lines) -> None:
    whole = line(step=1, loss=0.5)
    for character in whole[:-1]:
        lines.append(character)
        assert lines.new() == []
    lines.append("\n")
    assert [report.step for report in lines.new()] == [1]


def test_the_last_line_needs_no_end_once_the_command_has_ended(lines: Lines) -> None:
    lines.append('{"loss": 0.5}')
    assert lines.new() == []
    assert lines.new(ended=True) == [Report(step=1, metrics={"loss": 0.5})]


def test_a_line_without_a_step_is_of_the_next(lines: Lines) -> None:
    lines.append(line(loss=3) + line(loss=2) + line(step=10, loss=1) + line(loss=0))
    assert [report.step for report in lines.new()] == [1, 2, 10, 11]


def test_steps_may_begin_at_0(lines: Lines) -> None:
    lines.append(line(step=0, loss=3) + line(step=1, loss=2))
    assert [report.step for report in lines.new()] == [0, 1]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("loss 0.5\n", "no JSON"),
        (b'{"loss": "\xff"}\n', "no JSON"),
        ("[" * 60_000 + "\n", "no JSON"),
        ("[1, 2]\n", "no JSON object"),
        ("0.5\n", "no JSON object"),
        ("{}\n", "no metric in it"),
        (line(step=3), "no metric in it"),
        (line(loss="0.5"), "a metric is no number"),
        (line(loss=True), "a metric is no number"),
        (line(loss=None), "a metric is no number"),
        (line(loss={"a": 1}), "a metric is no number"),
        (line(step=1.5, loss=1), "its step is no whole number from 0 to"),
        (line(step=-1, loss=1), "its step is no whole number"),
        (line(step=True, loss=1), "its step is no whole number"),
        (line(step=2**31, loss=1), "its step is no whole number"),
        (line(**{"step": 2, "\ud800": 1}), "not printable"),
        (line(**{"step": 2, "a\0": 1}), "not printable"),
        (line(step=1, loss=9), "its step is not above that of an earlier line"),
        (line(step=0, loss=9), "its step is not above that of an earlier line"),
        (line(loss=1, rest="x" * MOST_LINE_BYTES), "longer than 64 KiB"),
    ],
)
def test_what_is_no_report_is_ignored_and_counted(lines: Lines, bad: str | bytes, why: str) -> None:
    lines.append(line(step=1, loss=0.5))
    lines.append(bad)
    lines.append(bad)
    lines.append("\n \n" + line(step=2, loss=0.25))
    assert [(report.step, report.metrics) for report in lines.new()] == [
        (1, {"loss": 0.5}),
        (2, {"loss": 0.25}),
    ]
    ((told, count),) = lines.reports.ignored.items()
    assert (told[: len(why)] if why != "not printable" else why) == why
    assert count == 2
    assert len(lines.remarks) == 1


def test_a_line_without_any_end_is_not_kept_whole(lines: Lines) -> None:
    for _ in range(40):
        lines.append(b"x" * MOST_LINE_BYTES)
        assert lines.new() == []
    lines.append("\n" + line(step=1, loss=0.5))
    assert [report.step for report in lines.new()] == [1]
    assert lines.reports.ignored == {"longer than 64 KiB": 1}


def test_numbers_that_are_none_are_reported_as_they_are(lines: Lines) -> None:
    lines.append('{"a": NaN, "b": -Infinity, "c": 1' + "0" * 400 + "}\n")
    ((report),) = lines.new()
    assert str(report.metrics) == "{'a': nan, 'b': -inf, 'c': inf}"


def test_a_file_that_is_written_anew_each_time_is_read_from_its_start(lines: Lines) -> None:
    lines.append(line(step=1, loss=0.5) + line(step=2, loss=0.5))
    assert len(lines.new()) == 2
    lines.path.write_text(line(step=3, loss=0.25))
    assert [report.step for report in lines.new()] == [3]
    assert lines.reports.ignored == {"the file was cut; open it to append": 1}


def test_a_file_that_was_removed_is_a_file_without_lines(lines: Lines) -> None:
    lines.path.unlink()
    assert lines.new() == []


def test_gigabytes_of_reports_end_the_trial(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_BYTES", 1000)
    for step in range(20):
        lines.append(line(step=step, loss=0.5))
    assert len(lines.new()) == 20
    lines.append(b"x" * 1000)
    with pytest.raises(ReportsTooLong, match="report once an epoch"):
        lines.new()


def test_the_next_attempt_reads_what_was_whole_and_goes_on_behind_it(lines: Lines) -> None:
    lines.append(line(step=1, loss=0.5) + '{"step": 2, "lo')
    again = Lines(lines.path)
    again.reports.begin()
    again.append(line(step=2, loss=0.25))
    assert [report.metrics for report in again.new()] == [{"loss": 0.5}, {"loss": 0.25}]
    assert again.reports.ignored == {}
