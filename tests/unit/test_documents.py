"""Documents are read strictly, and a refusal names the place."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.documents import (
    MAX_DEPTH,
    apply_overrides,
    parse_overrides,
    read_document,
    read_json,
    read_yaml,
)
from tuner.errors import SpecInvalid


def refusal_of(read: Any, *arguments: Any) -> str:
    with pytest.raises(SpecInvalid) as caught:
        read(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        (".5", 0.5),
        ("-3", -3),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("500_000_000", 500_000_000),
        ("50_00", "50_00"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("2024-01-31", "2024-01-31"),
        ("12:30", "12:30"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("null", None),
        ("~", None),
        ("", None),
        ("٣", "٣"),
        ("<<", "<<"),
        ("e1", "e1"),
        ("|\n  12", "12"),
    ],
)
def test_yaml_scalars_follow_the_core_schema_of_version_1_2(text: str, value: object) -> None:
    read = read_yaml(text.encode())
    assert read == value
    assert type(read) is type(value)


def test_yaml_is_read_as_plain_mappings_and_lists() -> None:
    text = b"lr: {float: [1e-4, 0.1], log: true}\nstart:\n- {lr: 0.01}\n- {}\n1: x\nyes: y\n"
    assert read_yaml(text) == {
        "lr": {"float": [1e-4, 0.1], "log": True},
        "start": [{"lr": 0.01}, {}],
        "1": "x",
        "yes": "y",
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"a: 1\na: 2", "The key 'a' stands twice in one mapping; keep one (line 2, column 1)."),
        (b"a: &x 1", "&x is an anchor, which is not read; remove it (line 1, column 4)."),
        (b"a: *x", "*x is an alias, which is not read; write the value out (line 1, column 4)."),
        (b"&k a: 1", "&k is an anchor, which is not read; remove it (line 1, column 1)."),
        (
            b"a: !!python/object:os.system {}",
            "tag:yaml.org,2002:python/object:os.system is a tag, which is not read; "
            "quote a value that shall be text (line 1, column 4).",
        ),
        (b"? [a]\n: 1", "A key must be plain text, not a list or a mapping (line 1, column 3)."),
        (b"a: 1\n---\nb: 2", "A second document starts here; hand in one at a time"),
        (b"a: .nan", ".nan is no finite number; write a number or leave the key out (line 1, "),
        (b"a: -.inf", "-.inf is no finite number"),
        (b"a: 1e999", "1e999 is no finite number"),
        (b"a: " + b"9" * 101, "A number of 101 characters, 999999999999…, is too long"),
        (b"a: [1", "Not YAML: did not find expected ',' or ']' (line "),
        (b"a: b: c", "Not YAML: mapping values are not allowed in this context (line 1, column 5)"),
        (b"a: \x07", "Not YAML: the character '\\x07' (line 1, column 4)."),
        (b'a: "\\0"', "Text holds a NUL or half a surrogate pair, which is no character"),
        (b"a: 1\nb: \xff", "Not UTF-8: byte 0xff at line 2, column 4; save the file as UTF-8."),
        (b"[" * 60 + b"]" * 60, "nested more than 50 levels deep; flatten it (line 1, column 51)."),
    ],
)
def test_yaml_refusals_name_the_place(text: bytes, complaint: str) -> None:
    assert complaint in refusal_of(read_yaml, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b'{"a": 1,\n "a": 2}', "The key 'a' stands twice in one mapping; keep one (line 2, colum"),
        (b'{"a": {"b": 1, "c": [{"b": 2}], "b": 3}}', "The key 'b' stands twice"),
        (b'{"a": NaN}', "NaN is no finite number; write a number or leave the key out (line 1, "),
        (b'{"a": -Infinity}', "-Infinity is no finite number"),
        (b'{"a": 1e999}', "1e999 is no finite number"),
        (b'{"a": ' + b"1" * 6000 + b"}", "A number of 6000 characters, 111111111111…, is too long"),
        (b'{"a": 1', "Not JSON: Expecting ',' delimiter (line 1, column 8)."),
        (b"", "Not JSON: Expecting value (line 1, column 1)."),
        (b'{"a": "\\ud800"}', "Text holds a NUL or half a surrogate pair, which is no character"),
        (b'{"a\\u0000": 1}', "Text holds a NUL or half a surrogate pair"),
        (b'{"a": "\xc3"}', "Not UTF-8: byte 0xc3 at line 1, column 8"),
        (b"[" * 51 + b"]" * 51, "nested more than 50 levels deep; flatten it (line 1, column 51)."),
        (b"[" * 100_000, "nested more than 50 levels deep; flatten it (line 1, column 51)."),
    ],
)
def test_json_refusals_name_the_place(text: bytes, complaint: str) -> None:
    assert complaint in refusal_of(read_json, text)


def test_the_same_key_may_stand_in_different_mappings() -> None:
    text = b'{"a": {"a": [{"a": 1}, {"a": 2}]}, "b": {"a": "{a: :"}}'
    assert read_json(text) == json.loads(text)


def test_a_byte_order_mark_is_no_content() -> None:
    assert read_json(b"\xef\xbb\xbf{}") == read_yaml(b"\xef\xbb\xbf{}") == {}


def test_documents_at_the_depth_limit_are_read() -> None:
    text = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert read_json(text) == read_yaml(text)


plain_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
plain_data = st.recursive(
    st.none() | st.booleans() | numbers | plain_text,
    lambda inner: st.lists(inner) | st.dictionaries(plain_text, inner),
)


@given(plain_data)
def test_json_reads_back_what_was_written(value: object) -> None:
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary() | plain_text.map(str.encode))
def test_readers_refuse_in_their_own_words_whatever_the_bytes(data: bytes) -> None:
    for read in (read_json, read_yaml):
        # Any other exception fails the test.
        with contextlib.suppress(SpecInvalid):
            read(data)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_way_to_write_a_float_is_a_float_in_yaml(value: float) -> None:
    for text in (repr(value), f"{value:.17e}"):
        read = read_yaml(text.encode())
        assert isinstance(read, float)
        assert math.isclose(read, float(text), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("content_type", "value"),
    [
        ("application/json", {"a": "1e-4"}),
        ("application/yaml; charset=utf-8", {"a": "1e-4"}),
        ("Application/JSON", {"a": "1e-4"}),
    ],
)
def test_the_content_type_chooses_the_reader(content_type: str, value: object) -> None:
    assert read_document(b'{"a": "1e-4"}', content_type) == value


def test_other_content_types_are_refused_by_name() -> None:
    assert refusal_of(read_document, b"{}", "text/plain") == (
        "Content-Type 'text/plain' is not read; send application/json or application/yaml."
    )


def test_overrides_are_laid_over_the_document_without_changing_it() -> None:
    document = {"model": "mlp", "space": {"lr": {"float": [0.1, 1]}}, "budget": None}
    result = apply_overrides(
        document,
        ["budget.trials=5", "space.lr.log=true", "space.depth={int: [1, 3]}", "name=a=b", "x="],
    )
    assert result == {
        "model": "mlp",
        "space": {"lr": {"float": [0.1, 1], "log": True}, "depth": {"int": [1, 3]}},
        "budget": {"trials": 5},
        "name": "a=b",
        "x": None,
    }
    assert document == {"model": "mlp", "space": {"lr": {"float": [0.1, 1]}}, "budget": None}


def test_an_argument_of_ones_own_network_that_has_a_prefix_is_one_name() -> None:
    overrides = ["space.model.lr.log=true", "space.model.clip=0.5", "space.width=3"]
    assert parse_overrides(overrides) == {
        "space": {"model.lr": {"log": True}, "model.clip": 0.5, "width": 3}
    }


def test_overrides_alone_make_a_document() -> None:
    overrides = ["budget.trials=5", "budget.trials=6", "space.lr=1e-4"]
    assert parse_overrides(overrides) == {"budget": {"trials": 6}, "space": {"lr": 1e-4}}


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("budget.trials", "'budget.trials' is no override; write key=value: budget.trials=5."),
        ("=5", "'=5' is no override"),
        ("budget..trials=5", "'budget..trials=5' is no override"),
        ("model.width=5", "'model.width=5': model is 'mlp', which has no keys; set model whole."),
        ("start=[1", "'start=[1': Not YAML: did not find expected ',' or ']'"),
    ],
)
def test_override_refusals_quote_the_override(override: str, complaint: str) -> None:
    assert complaint in refusal_of(apply_overrides, {"model": "mlp"}, [override])
