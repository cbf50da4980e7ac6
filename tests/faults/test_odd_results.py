"""Objectives that return what is no number: a reason for each, and strict JSON for everybody."""

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.main import create_app
from tests.faults.counting import Counts
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.db import Database
from tuner.executors.inline import InlineExecutor
from tuner.protocol import Ended, FromWorker, StartAttempt, ToWorker
from tuner.settings import Settings
from tuner.states import AttemptState, Reason
from tuner.trial import Context, Outcome
from tuner.wire import decode, encode
from tuner.workers.conduct import conduct


class Stubborn:
    """What pretends to be a number and is none."""

    def __float__(self) -> float:
        raise ValueError("not today")


ODD = st.one_of(
    st.floats(),
    st.none(),
    st.text(),
    st.binary(),
    st.integers(),
    st.booleans(),
    st.complex_numbers(),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.text(), st.floats(), max_size=2),
    st.builds(Stubborn),
)


class Nobody:
    """A transport that is never used."""

    def send(self, message: FromWorker) -> None:
        raise AssertionError(message)

    def receive(self) -> ToWorker:
        raise AssertionError

    def receive_now(self) -> ToWorker | None:
        raise AssertionError


returned: list[Any] = []


def returns_odd(payload: Mapping[str, Any], context: Context) -> Any:
    """The outcome, or instead of it, what the test says."""
    wrapped, value = returned
    return Outcome.succeeded(value) if wrapped else value


def test_whatever_an_objective_returns_has_a_reason_or_is_a_finite_number(counted: Counts) -> None:
    with counted("odd results: NaN, infinities, texts, wrong lengths", "the worker") as count:

        @settings(max_examples=1000, deadline=None)
        @given(value=ODD, wrapped=st.booleans())
        def every(value: Any, wrapped: bool) -> None:
            reason = reason_for(value, wrapped)
            count.add(1, **{"finite numbers" if reason is None else str(reason): 1})

        every()


def reason_for(value: Any, wrapped: bool) -> Reason | None:
    """Why an attempt fails whose program returns this; None where it succeeds."""
    returned[:] = wrapped, value
    order = StartAttempt(attempt=1, program=f"{__name__}:returns_odd", payload={})
    ended = conduct(order, Nobody(), scratch=Path(), device="cpu")
    if ended.state is AttemptState.SUCCEEDED:
        assert ended.value is not None
        assert math.isfinite(ended.value)
    else:
        assert ended.reason in (Reason.NAN, Reason.USER_ERROR, Reason.NO_RESULT)
        assert ended.detail
    # Strict JSON, and the same on the other side.
    json.loads(encode(ended), parse_constant=pytest.fail)
    assert decode(encode(ended)) == ended
    assert isinstance(ended, Ended)
    return ended.reason


def tells_of_no_numbers(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Curve, facts and value are none that JSON has."""
    for step, value in enumerate((math.nan, math.inf, -math.inf), 1):
        context.report(step, {payload["metric"]: value, "extra": value})
        context.verdict(step)
    return Outcome(
        state=AttemptState.SUCCEEDED,
        value=math.inf,
        facts={"best_step": "three", "figures": [math.nan, {"deep": -math.inf}]},
    )


def test_what_is_no_number_is_told_as_none_by_every_route(
    database: Database, settings: Settings
) -> None:
    url = database.url.render_as_string(hide_password=False)
    own = settings.model_copy(update={"database_url": url})
    with ExitStack() as stack:
        stand = Stand(database, own, InlineExecutor(), program=f"{__name__}:tells_of_no_numbers")
        stack.enter_context(stand)
        job = stand.submit(budget={"trials": 2, "epochs": 3})
        stand.finish(job)
        api = stack.enter_context(TestClient(create_app(own), base_url="http://127.0.0.1:8700"))
        trial = f"/v1/jobs/{job.ulid}/trials/0"
        documents = [trial, f"{trial}/attempts", f"{trial}/metrics", f"/v1/jobs/{job.ulid}"]
        found = [_strict(api, path) for path in (*documents, f"/v1/jobs/{job.ulid}/trials")]
        text = api.get(f"/v1/jobs/{job.ulid}/events").text
    assert (found[0]["state"], found[0]["reason"], found[0]["value"]) == ("failed", "nan", None)
    assert found[0]["best_step"] is None
    assert [set(point["values"].values()) for point in found[2]["points"]] == [{None}] * 3
    assert "NaN" not in text
    assert "Infinity" not in text
    assert_invariants(database)


def _strict(api: TestClient, path: str) -> Any:
    answer = api.get(path)
    assert answer.status_code == 200
    return json.loads(answer.content, parse_constant=pytest.fail)
