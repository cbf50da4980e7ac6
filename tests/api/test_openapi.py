"""The OpenAPI document says what is there, with examples that work."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import examples
from tuner.db import Database
from tuner.documents import read_yaml
from tuner.parts import parse_part
from tuner.spec import JobPatch, TrainingSpec

Document = dict[str, Any]


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: the database has no part in these."""
    return sqlite_database


@pytest.fixture
def document(api: TestClient) -> Document:
    made: Document = api.get("/openapi.json").json()
    return made


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_has_a_name_a_place_and_a_meaning(document: Document) -> None:
    names = []
    tags = {tag["name"] for tag in document["tags"]}
    for where, operation in operations(document):
        names.append(operation["operationId"])
        assert operation["summary"], where
        assert set(operation["tags"]) <= tags, where
    assert len(names) == len(set(names)) >= 30


def test_every_reference_leads_somewhere(document: Document) -> None:
    schemas = document["components"]["schemas"]
    references = {
        part.partition('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]
    }
    assert references <= set(schemas)
    assert {"TrainingSpec", "JobDetail", "Problem", "EventView"} <= references | set(schemas)


def test_every_refusal_is_documented_as_a_problem(document: Document) -> None:
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (where, status)


def test_every_answer_has_a_type(document: Document) -> None:
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) in (200, 201, 202):
                assert answer["content"], (where, status)
                for kind, content in answer["content"].items():
                    assert kind != "application/json" or content["schema"], (where, status)


def test_bodies_are_documented_in_both_languages_with_examples(document: Document) -> None:
    for path, method in [("/v1/jobs", "post"), ("/v1/jobs/{job}", "patch")]:
        content = document["paths"][path][method]["requestBody"]["content"]
        assert set(content) == {"application/json", "application/yaml"}
        assert content["application/json"]["example"]


def test_the_examples_are_what_they_claim_to_be() -> None:
    TrainingSpec.parse(examples.SMALLEST)
    TrainingSpec.parse(read_yaml(examples.FULL_YAML.encode()))
    parse_part(JobPatch, examples.PATCH)
