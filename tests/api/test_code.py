"""Code over HTTP: sent once, listed, kept while a job runs it; and specs that name it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.archives import member, tar, tar_of, write, zipped
from tests.factories import insert_job, make_spec
from tests.repositories import commit, repository
from tuner.db import Database
from tuner.foreign.packing import code_of, pack
from tuner.settings import Settings

Open = Callable[..., TestClient]
PROJECT = {"theirs/losses.py": "def loss(o, t): ...\n", "models/nets.py": "X = 1\n"}


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: of the database only the live jobs are asked."""
    return sqlite_database


@pytest.fixture
def api(open_api: Open) -> TestClient:
    return open_api(allow_uploaded_code=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "source", PROJECT)


@pytest.fixture
def sha256(source: Path) -> str:
    return code_of(source).sha256


@pytest.fixture
def archive(source: Path) -> bytes:
    packed = io.BytesIO()
    pack(source, code_of(source), packed)
    return packed.getvalue()


def put(api: TestClient, sha256: str, archive: bytes) -> Any:
    headers = {"content-type": "application/gzip"}
    return api.put(f"/v1/code/{sha256}", content=archive, headers=headers)


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return f"{answer.json()['detail']} {answer.json().get('hint') or ''}".strip()


def names_in(settings: Settings) -> list[str]:
    folder = settings.code
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock") if folder.is_dir() else []


def submit(api: TestClient, **spec: Any) -> Any:
    return api.post("/v1/jobs", json=make_spec(**spec))


def test_code_is_sent_shown_listed_and_deleted(
    api: TestClient, sha256: str, archive: bytes, settings: Settings
) -> None:
    sent = put(api, sha256, archive)
    assert (sent.status_code, sent.headers["location"]) == (201, f"/v1/code/{sha256}")
    shown = api.get(f"/v1/code/{sha256}").json()
    assert shown == sent.json()
    assert [file["path"] for file in shown["files"]] == sorted(PROJECT)
    assert (shown["sha256"], shown["modules"]) == (sha256, ["models", "theirs"])
    assert shown["bytes"] == sum(map(len, PROJECT.values()))
    assert shown.pop("files")
    assert (shown["file_count"], api.get("/v1/code").json()) == (2, {"code": [shown]})
    assert api.delete(f"/v1/code/{sha256}").status_code == 204
    assert names_in(settings) == []
    for answer in (api.get(f"/v1/code/{sha256}"), api.delete(f"/v1/code/{sha256}")):
        assert f"No code {sha256}." in refusal(answer, 404)


def test_what_is_here_is_not_read_again(api: TestClient, sha256: str, archive: bytes) -> None:
    put(api, sha256, archive)
    again = put(api, sha256, b"not even an archive")
    assert (again.status_code, again.json()["sha256"]) == (200, sha256)


def test_without_the_setting_no_code_is_taken(
    open_api: Open, sha256: str, archive: bytes, settings: Settings
) -> None:
    api = open_api()
    assert refusal(put(api, sha256, archive), 403) == (
        "This server runs no uploaded code. Set TUNER_ALLOW_UPLOADED_CODE=1 and start it again, or "
        "name modules that its TUNER_ALLOWED_CODE lists."
    )
    assert names_in(settings) == []
    said = refusal(submit(api, code={"sha256": sha256}), 422)
    assert said.startswith("This server runs no uploaded code: set TUNER_ALLOW_UPLOADED_CODE=1")


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "cannot be read"),
        (b"x" * 5000, "cannot be read"),
        (zipped(tar([member("../x.py", b"1")])), "leads out of the folder"),
        (zipped(tar_of({"a.py": "other"})), "arrived with the SHA-256"),
    ],
)
def test_an_archive_that_is_none_or_another_is_refused_and_leaves_nothing(
    api: TestClient, sha256: str, settings: Settings, content: bytes, detail: str
) -> None:
    assert detail in refusal(put(api, sha256, content), 422)
    assert names_in(settings) == []


def test_a_name_that_is_no_checksum_is_refused(api: TestClient, archive: bytes) -> None:
    for name in ("x", "A" * 64, "%2e%2e"):
        assert "is no SHA-256" in refusal(put(api, name, archive), 422)
        assert "No code" in refusal(api.get(f"/v1/code/{name}"), 404)


@pytest.mark.parametrize(
    ("limit", "content", "setting"),
    [
        ({"code_upload_bytes": 2000}, bytes(3000), "TUNER_CODE_UPLOAD_BYTES"),
        ({"code_bytes": 1024}, zipped(tar([member("a", bytes(2000))])), "TUNER_CODE_BYTES"),
        ({"code_files": 1}, zipped(tar_of(PROJECT)), "TUNER_CODE_FILES"),
    ],
)
def test_what_is_too_large_names_the_limit(
    open_api: Open,
    sha256: str,
    settings: Settings,
    limit: dict[str, int],
    content: bytes,
    setting: str,
) -> None:
    api = open_api(allow_uploaded_code=True, **limit)
    assert setting in refusal(put(api, sha256, content), 413)
    assert names_in(settings) == []


def test_a_body_of_unknown_length_is_counted_as_it_comes(open_api: Open, sha256: str) -> None:
    api = open_api(allow_uploaded_code=True, code_upload_bytes=2000)
    answer = api.put(f"/v1/code/{sha256}", content=iter([bytes(1500), bytes(1500)]))
    assert answer.status_code == 413


def test_code_that_a_live_job_runs_stays(
    api: TestClient, database: Database, sha256: str, archive: bytes
) -> None:
    put(api, sha256, archive)
    job = insert_job(database, spec=make_spec(code={"sha256": sha256}))
    said = refusal(api.delete(f"/v1/code/{sha256}"), 409)
    assert said.startswith(f"Job {job.ulid} runs code {sha256}, which must stay until it ends.")
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'failed', finished_at = created_at")
    assert api.delete(f"/v1/code/{sha256}").status_code == 204


class TestSpecs:
    """A spec names its code by the content, and finds its modules in it."""

    def test_parts_are_found_in_the_code_of_the_spec_and_in_no_other(
        self, api: TestClient, sha256: str, archive: bytes
    ) -> None:
        put(api, sha256, archive)
        code = {"sha256": sha256}
        job = submit(api, loss="theirs.losses:loss", code=code)
        assert job.status_code == 202, job.text
        assert api.get(f"/v1/jobs/{job.json()['id']}").json()["spec"]["code"] == code
        for spec in (
            {"loss": "theirs.losses:loss"},
            {"loss": "torch.nn:Loss", "code": code},
            {"loss": "tuner.x:Loss", "code": code},
        ):
            assert "is an import path, and this server" in refusal(submit(api, **spec), 422)

    def test_code_that_is_not_here_is_to_be_uploaded_first(
        self, api: TestClient, sha256: str
    ) -> None:
        answer = submit(api, code={"sha256": sha256})
        assert "tuner submit --code FOLDER SPEC.yaml" in refusal(answer, 422)
        assert answer.json()["errors"][0]["pointer"] == "/code/sha256"

    def test_a_branch_is_pinned_at_submission(
        self, open_api: Open, tmp_path: Path, sha256: str, settings: Settings
    ) -> None:
        (found,) = repository(tmp_path / "roots" / "theirs", PROJECT)
        api = open_api(code_roots=[tmp_path / "roots"])
        code = {"git": "theirs", "commit": "main"}
        job = submit(api, loss="theirs.losses:loss", code=code)
        assert job.status_code == 202, job.text
        stored = api.get(f"/v1/jobs/{job.json()['id']}").json()["spec"]["code"]
        assert stored == {"git": "theirs", "commit": found, "sha256": sha256}
        assert names_in(settings) == [sha256]
        assert submit(api, code=stored).status_code == 202
        other = refusal(submit(api, code={**stored, "sha256": "0" * 64}), 422)
        assert other == f"code.sha256 = '{'0' * 64}': commit {found} has {sha256}; leave it out."
        # What came from a repository is no upload.
        assert "runs no uploaded code" in refusal(submit(api, code={"sha256": sha256}), 422)

    def test_a_commit_that_is_none_is_a_fault_of_the_spec(
        self, open_api: Open, tmp_path: Path
    ) -> None:
        repository(tmp_path / "roots" / "theirs", PROJECT)
        api = open_api(code_roots=[tmp_path / "roots"])
        for code, pointer in (
            ({"git": "theirs", "commit": "nowhere"}, "/code/commit"),
            ({"git": "others", "commit": "main"}, "/code"),
            ({"git": "https://example.org/x", "commit": "main"}, "/code"),
        ):
            answer = submit(api, code=code)
            refusal(answer, 422)
            assert answer.json()["errors"][0]["pointer"] == pointer

    def test_the_same_document_is_the_same_submission_though_the_branch_moved_on(
        self, open_api: Open, tmp_path: Path
    ) -> None:
        repository(tmp_path / "roots" / "theirs", PROJECT)
        api = open_api(code_roots=[tmp_path / "roots"])
        document = make_spec(code={"git": "theirs", "commit": "main"})
        headers = {"idempotency-key": "one"}
        first = api.post("/v1/jobs", json=document, headers=headers)
        commit(tmp_path / "roots" / "theirs", {"theirs/losses.py": "X = 2\n"})
        again = api.post("/v1/jobs", json=document, headers=headers)
        assert first.json()["id"] == again.json()["id"]
