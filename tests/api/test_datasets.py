"""Data sets over HTTP: uploaded whole or in pieces, listed, and kept from being pulled away."""

import asyncio
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.testclient import TestClient

from app.uploading import PIECE_BYTES, append_body
from tests.factories import insert_job, make_spec
from tuner.clock import utc_now
from tuner.dataset_views import DatasetList, UploadedData, UploadView
from tuner.datasets import Datasets
from tuner.db import Database
from tuner.errors import DiskFull
from tuner.service import Service
from tuner.settings import Settings
from tuner.uploads import Announced, Uploads

Open = Callable[..., TestClient]
TABLE = b"a,b\n1,2\n3,4\n"


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: of the database only the live jobs are asked."""
    return sqlite_database


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.datasets


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def post(api: TestClient, name: str, filename: str, content: bytes, **params: str) -> Any:
    """The file in one request, as curl's --data-binary sends it."""
    return api.post(
        "/v1/datasets",
        params={"name": name, "filename": filename, **params},
        content=content,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )


def begin(api: TestClient, content: bytes, name: str = "points", **changes: Any) -> Any:
    params = {"name": name, "filename": "points.csv", "sha256": sha256(content)}
    headers = {"upload-complete": "?0", "upload-length": str(len(content))}
    return api.post(
        "/v1/datasets", params=params | changes.pop("params", {}), headers=headers | changes
    )


def patch(api: TestClient, url: str, offset: int, piece: bytes) -> Any:
    headers = {"upload-offset": str(offset), "content-type": "application/partial-upload"}
    return api.patch(url, content=piece, headers=headers)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def uploaded(api: TestClient) -> list[UploadedData]:
    listed = DatasetList.model_validate_json(api.get("/v1/datasets").content)
    return [entry.uploaded for entry in listed.entries if entry.uploaded is not None]


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return f"{answer.json()['detail']} {answer.json().get('hint') or ''}".strip()


def test_a_file_in_one_request_is_a_data_set_of_one_file(api: TestClient, folder: Path) -> None:
    answer = post(api, "points", "points.csv", TABLE, sha256=sha256(TABLE).upper())
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/datasets/points")
    data = UploadedData.model_validate_json(api.get(answer.headers["location"]).content)
    [file] = data.files
    assert (file.name, file.bytes, file.sha256) == ("points.csv", len(TABLE), sha256(TABLE))
    assert (data.bytes, data.created_at) == (len(TABLE), file.added_at)
    assert (folder / "points" / "points.csv").read_bytes() == TABLE


def test_the_checksum_of_a_data_set_is_that_of_what_sha256sum_prints(api: TestClient) -> None:
    post(api, "points", "b.csv", b"2")
    post(api, "points", "a.csv", b"1")
    [data] = uploaded(api)
    assert [file.name for file in data.files] == ["a.csv", "b.csv"]
    printed = f"{sha256(b'1')}  a.csv\n{sha256(b'2')}  b.csv\n"
    assert data.sha256 == sha256(printed.encode())


def test_uploaded_data_are_listed_beside_the_catalogue_s_and_marked(api: TestClient) -> None:
    post(api, "points", "points.csv", TABLE)
    entries = api.get("/v1/datasets").json()["entries"]
    marks = {entry["name"]: entry["uploaded"] is not None for entry in entries}
    assert marks["digits"] is False
    assert marks["points"] is True
    assert entries[-1]["summary"] == "Uploaded: points.csv, 12 bytes."


def test_a_file_in_pieces_is_there_with_its_last_byte_and_not_before(
    api: TestClient, folder: Path
) -> None:
    begun = begin(api, TABLE)
    assert begun.status_code == 201
    assert (begun.headers["upload-offset"], begun.headers["upload-length"]) == ("0", "12")
    url = begun.headers["location"]
    first = patch(api, url, 0, TABLE[:5])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "5")
    assert uploaded(api) == []
    assert names_in(folder) == []
    last = patch(api, url, 5, TABLE[5:])
    assert (last.status_code, last.headers["upload-complete"]) == (200, "?1")
    assert UploadedData.model_validate_json(last.content) == uploaded(api)[0]
    assert api.head(url).status_code == 404
    assert list((folder / ".uploads").iterdir()) == []


def test_head_tells_how_far_an_upload_is(api: TestClient) -> None:
    url = begin(api, TABLE).headers["location"]
    patch(api, url, 0, TABLE[:7])
    headers = api.head(url).headers
    assert (headers["upload-offset"], headers["upload-length"]) == ("7", "12")
    assert (headers["upload-complete"], headers["cache-control"]) == ("?0", "no-store")


def test_to_begin_the_same_upload_again_is_to_go_on_with_it(api: TestClient) -> None:
    first = UploadView.model_validate_json(begin(api, TABLE).content)
    patch(api, first.url, 0, TABLE[:7])
    again = UploadView.model_validate_json(begin(api, TABLE).content)
    assert (again.id, again.offset, again.length) == (first.id, 7, 12)
    assert UploadView.model_validate_json(begin(api, TABLE[1:]).content).id != first.id


def test_an_upload_whose_last_answer_was_lost_is_finished_by_an_empty_piece(
    api: TestClient, settings: Settings
) -> None:
    url = begin(api, TABLE).headers["location"]
    # As a server leaves it that is killed between the last byte and the check.
    (settings.datasets / ".uploads" / url.rpartition("/")[2] / "data").write_bytes(TABLE)
    assert patch(api, url, 12, b"").status_code == 200
    assert uploaded(api)[0].bytes == 12


def test_a_piece_for_another_offset_changes_nothing_and_is_told_the_right_one(
    api: TestClient,
) -> None:
    url = begin(api, TABLE).headers["location"]
    patch(api, url, 0, TABLE[:5])
    for offset, piece in [(0, TABLE[:5]), (6, TABLE[6:]), (12, b"")]:
        answer = patch(api, url, offset, piece)
        said = refusal(answer, 409)
        assert f"holds 5 bytes; it cannot go on at {offset}." in said
        assert answer.json()["type"] == "/problems#upload-offset-wrong"
        assert answer.headers["upload-offset"] == "5"
    assert patch(api, url, 5, TABLE[5:]).status_code == 200


def test_more_than_was_announced_is_refused(api: TestClient) -> None:
    url = begin(api, TABLE).headers["location"]
    assert refusal(patch(api, url, 0, TABLE + b"5"), 422) == (
        "points.csv was announced with 12 bytes, but these end at 13. "
        "Begin another upload with the right length and checksum."
    )


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_not_what_was_announced_is_not_kept(
    api: TestClient, folder: Path, whole: bool
) -> None:
    other = TABLE[::-1]
    if whole:
        answer = post(api, "points", "points.csv", other, sha256=sha256(TABLE))
    else:
        answer = patch(api, begin(api, TABLE).headers["location"], 0, other)
    assert refusal(answer, 422) == (
        f"points.csv arrived with the SHA-256 {sha256(other)}, not {sha256(TABLE)}. "
        "Nothing was kept. See that the file does not change meanwhile, and upload it again."
    )
    assert uploaded(api) == []
    assert list((folder / ".uploads").iterdir()) == []


def test_the_same_file_again_is_no_change(api: TestClient) -> None:
    assert post(api, "points", "points.csv", TABLE).status_code == 201
    before = uploaded(api)
    assert post(api, "points", "points.csv", TABLE).status_code == 200
    assert begin(api, TABLE).status_code == 200
    assert uploaded(api) == before


def test_another_file_of_the_same_name_is_refused(api: TestClient, folder: Path) -> None:
    post(api, "points", "points.csv", TABLE)
    for answer in (post(api, "points", "points.csv", b"other"), begin(api, b"other")):
        assert refusal(answer, 409) == (
            "Data set points has a file points.csv already, with other contents. "
            "Take another name, or delete the data set first: tuner data delete points."
        )
    assert (folder / "points" / "points.csv").read_bytes() == TABLE


def test_of_two_uploads_of_different_files_under_one_name_the_first_to_finish_stays(
    api: TestClient,
) -> None:
    first, second = (begin(api, content).headers["location"] for content in (b"one", b"two"))
    assert patch(api, second, 0, b"two").status_code == 200
    assert "with other contents" in refusal(patch(api, first, 0, b"one"), 409)
    assert uploaded(api)[0].files[0].sha256 == sha256(b"two")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-rf", "a b", "ä", "x" * 201, "a\n"]
)
def test_a_name_that_is_none_is_refused(api: TestClient, folder: Path, name: str) -> None:
    said = refusal(post(api, name, "points.csv", TABLE), 422)
    assert said.startswith(f"name = {name[:80]!r} is no name: letters, digits and _ - . only, no ")
    assert refusal(post(api, "points", name, TABLE), 422).startswith("filename = ")
    assert not folder.exists()


def test_a_name_of_the_catalogue_or_of_a_data_root_is_taken(
    api: TestClient, settings: Settings
) -> None:
    (settings.root / "data" / "mine").mkdir(parents=True)
    assert refusal(post(api, "digits", "a.csv", TABLE), 409) == (
        "digits is a data set of the catalogue. Take another name."
    )
    assert refusal(post(api, "mine", "a.csv", TABLE), 409) == (
        f"mine lies below the data root {settings.root / 'data'} already. Take another name."
    )


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"sha256": "abc"}, "sha256 = 'abc' is no SHA-256 in 64 hexadecimal digits. `sha256sum F"),
        ({"upload-length": "0"}, "Upload-Length = 0: a file of data has at least one byte."),
        ({"upload-length": "-1"}, "upload-length = '-1': should be greater than or equal to 0."),
    ],
)
def test_what_cannot_be_announced_is_refused(
    api: TestClient, params: dict[str, str], said: str
) -> None:
    headers = {name: value for name, value in params.items() if name != "sha256"}
    rest = {name: value for name, value in params.items() if name == "sha256"}
    assert refusal(begin(api, TABLE, params=rest, **headers), 422).startswith(said)


def test_pieces_without_length_and_checksum_are_refused(api: TestClient) -> None:
    answer = api.post(
        "/v1/datasets?name=points&filename=points.csv", headers={"upload-complete": "?0"}
    )
    assert refusal(answer, 422) == ("An upload in pieces announces `Upload-Length` and `sha256`.")


def test_a_file_without_a_byte_is_refused(api: TestClient) -> None:
    assert refusal(post(api, "points", "points.csv", b""), 422) == (
        "points.csv has 0 of at least 1 bytes. Send all of it; a file without a byte is no data."
    )


LIMIT_SAID = (
    "The file is larger than 2,000 bytes, the limit that TUNER_UPLOAD_BYTES sets. "
    "Raise TUNER_UPLOAD_BYTES and start the server again, or copy it below a data root."
)


def test_a_file_above_the_limit_is_refused_before_it_comes(open_api: Open, folder: Path) -> None:
    api = open_api(upload_bytes=2000)
    assert post(api, "points", "points.csv", bytes(2000)).status_code == 201
    assert refusal(post(api, "more", "points.csv", bytes(2001)), 413) == LIMIT_SAID
    assert refusal(begin(api, bytes(2001), "more"), 413) == LIMIT_SAID
    assert names_in(folder) == ["points"]


def test_a_file_that_grows_above_the_limit_is_cut_off_and_not_kept(
    open_api: Open, folder: Path
) -> None:
    def endless() -> Iterator[bytes]:
        yield from (bytes(500) for _ in range(5))

    api = open_api(upload_bytes=2000)
    answer = api.post("/v1/datasets?name=points&filename=points.csv", content=endless())
    assert LIMIT_SAID.startswith(refusal(answer, 413))
    assert names_in(folder) == list((folder / ".uploads").iterdir()) == []


def test_a_file_may_be_larger_than_other_bodies(open_api: Open) -> None:
    api = open_api(max_body_bytes=2000)
    assert post(api, "points", "points.csv", bytes(100_000)).status_code == 201


def uploads_of(settings: Settings, **rest: Any) -> Uploads:
    datasets = Datasets(settings.datasets, refuse_change=lambda name: None)
    return Uploads(settings.datasets / ".uploads", datasets, limit=2**40, **rest)


def test_a_file_for_which_there_is_no_room_is_refused_before_it_comes(settings: Settings) -> None:
    uploads = uploads_of(settings, free_bytes=lambda folder: 99)
    announced = Announced(name="points", filename="points.csv", length=100, sha256=sha256(b""))
    with pytest.raises(DiskFull, match=r"The disk that holds .* has no room for the file\."):
        uploads.begin(announced)


def test_a_full_disk_is_answered_with_the_remedy_and_the_upload_stays(
    api: TestClient, folder: Path
) -> None:
    url = begin(api, TABLE).headers["location"]
    arrived = folder / ".uploads" / url.rpartition("/")[2] / "data"
    arrived.unlink()
    arrived.symlink_to("/dev/full")
    assert refusal(patch(api, url, 0, TABLE), 507) == (
        f"The disk that holds {folder / '.uploads'} has no room for the file. Free some space "
        "(`tuner delete`, `tuner data delete`), then try again."
    )
    arrived.unlink()
    arrived.touch()
    assert patch(api, url, 0, TABLE).status_code == 200


def test_an_upload_is_given_up_on_demand(api: TestClient) -> None:
    url = begin(api, TABLE).headers["location"]
    assert api.delete(url).status_code == 204
    for answer in (api.delete(url), patch(api, url, 0, TABLE)):
        assert refusal(answer, 404) == (
            f"No upload {url.rpartition('/')[2]}. Begin it again: POST /v1/datasets with the same "
            "name, file name, length and sha256."
        )
    assert refusal(api.delete("/v1/uploads/.."), 404)


def age(settings: Settings, url: str, hours: float) -> None:
    """Let the upload have been heard of last so long ago."""
    folder = settings.datasets / ".uploads" / url.rpartition("/")[2]
    then = (utc_now() - timedelta(hours=hours)).timestamp()
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))


def test_uploads_nobody_goes_on_with_are_gone_after_a_day(
    api: TestClient, open_api: Open, settings: Settings
) -> None:
    old, young = (begin(api, content).headers["location"] for content in (b"old", b"young"))
    age(settings, old, 25)
    age(settings, young, 23)
    begin(api, b"another")
    assert (api.head(old).status_code, api.head(young).status_code) == (404, 204)
    age(settings, young, 25)
    assert open_api().head(young).status_code == 404


def test_a_deletion_that_was_broken_off_is_carried_out_later(api: TestClient, folder: Path) -> None:
    (folder / ".deleted-1" / "inner").mkdir(parents=True)
    begin(api, TABLE)
    assert not (folder / ".deleted-1").exists()


def test_what_a_crash_leaves_half_done_is_not_part_of_a_data_set(
    api: TestClient, folder: Path
) -> None:
    post(api, "points", "a.csv", b"1")
    # The manifest tells of a file before the file gets its name.
    post(api, "points", "b.csv", b"2")
    (folder / "points" / "b.csv").unlink()
    assert [file.name for file in uploaded(api)[0].files] == ["a.csv"]
    assert post(api, "points", "b.csv", b"3").status_code == 201
    assert [file.name for file in uploaded(api)[0].files] == ["a.csv", "b.csv"]


def test_a_data_set_is_deleted_with_its_files(api: TestClient, folder: Path) -> None:
    post(api, "points", "points.csv", TABLE)
    assert api.delete("/v1/datasets/points").status_code == 204
    assert list(folder.glob("[!.]*")) == []
    for answer in (api.delete("/v1/datasets/points"), api.get("/v1/datasets/points")):
        assert refusal(answer, 404) == (
            "No uploaded data set points. GET /v1/datasets (or `tuner data list`) shows those "
            "there are."
        )
    for name in ("..", ".uploads", "digits", "a" * 300):
        assert api.delete(f"/v1/datasets/{name}").status_code in (404, 405)


def add_idx(api: TestClient, name: str) -> None:
    """Three images of each of two classes, in MNIST's files, one by one."""
    rows = 6
    images = pack(">4I", 0x803, rows, 8, 8) + bytes(rows * 64)
    labels = pack(">2I", 0x801, rows) + bytes(i % 2 for i in range(rows))
    answer = post(api, name, "train-images-idx3-ubyte.gz", gzip.compress(images))
    assert answer.status_code == 201
    assert post(api, name, "train-labels-idx1-ubyte", labels).status_code == 201


def test_a_job_reads_an_uploaded_folder_which_stays_until_it_has_ended(
    api: TestClient, folder: Path
) -> None:
    add_idx(api, "twos")
    spec = make_spec(data={"idx": "twos"})
    submitted = api.post("/v1/jobs", json=spec)
    assert submitted.status_code == 202, submitted.text
    job = submitted.json()["id"]
    resolved = api.post("/v1/jobs?validate_only=true", json=spec).json()
    assert resolved["data_shape"]["input_shape"] == [1, 8, 8]
    said = (
        f"Job {job} reads data set twos, which must not change until it ends. "
        f"Wait for the job, or end it: tuner cancel {job}."
    )
    assert refusal(api.delete("/v1/datasets/twos"), 409) == said
    assert refusal(post(api, "twos", "t10k-labels-idx1-ubyte", b"1"), 409) == said
    assert refusal(begin(api, b"1", "twos"), 409) == said
    assert names_in(folder / "twos") == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"]


def test_finished_jobs_and_jobs_on_other_data_keep_no_data_set(
    api: TestClient, database: Database, folder: Path
) -> None:
    add_idx(api, "twos")
    job = insert_job(database, state="succeeded")
    insert_job(database)
    path = str(folder / "twos")
    with database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET spec = json_set(spec, '$.data', json_object('idx', ?)) WHERE id = ?",
            (path, job.id),
        )
    assert api.delete("/v1/datasets/twos").status_code == 204


def test_a_job_that_names_the_whole_path_reads_the_data_set_too(
    api: TestClient, folder: Path
) -> None:
    add_idx(api, "twos")
    spec = make_spec(data={"idx": str(folder / "x" / ".." / "twos")})
    assert api.post("/v1/jobs", json=spec).status_code == 202
    assert "reads data set twos" in refusal(api.delete("/v1/datasets/twos"), 409)


def test_a_page_of_another_origin_uploads_nothing(api: TestClient) -> None:
    url = "/v1/datasets?name=points&filename=points.csv"
    assert api.post(url, content=TABLE, headers={"origin": "http://evil.com"}).status_code == 403
    assert uploaded(api) == []


def take_in(settings: Settings, filename: str, content: bytes) -> bool:
    """Let one of several servers take a file in; whether that changed the data set."""
    datasets = Datasets(settings.datasets, refuse_change=lambda name: None)
    uploads = Uploads(settings.datasets / ".uploads", datasets, limit=2**40)
    upload = uploads.begin(Announced(name="points", filename=filename))
    uploads.append(upload, 0, content)
    return uploads.finish(upload, utc_now())[1]


def request_of(*messages: dict[str, Any]) -> Request:
    """A request whose body comes by these messages."""
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return Request({"type": "http"}, receive)


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_what_came_before_a_client_was_gone_is_written(api: TestClient) -> None:
    service: Service = api.app.state.service  # type: ignore[attr-defined]
    upload = UploadView.model_validate_json(begin(api, TABLE).content)
    gone = {"type": "http.disconnect"}
    request = request_of(part(TABLE[:3]), part(TABLE[3:7]), gone)
    with pytest.raises(ClientDisconnect):
        asyncio.run(append_body(request, service, upload.id, 0))
    assert service.upload(upload.id).offset == 7


def test_a_large_body_is_written_in_pieces_and_never_held_whole(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    append = Service.append_upload

    def noted(self: Service, upload: str, offset: int, data: bytes) -> int:
        sizes.append(len(data))
        return append(self, upload, offset, data)

    monkeypatch.setattr(Service, "append_upload", noted)
    service: Service = api.app.state.service  # type: ignore[attr-defined]
    upload = UploadView.model_validate_json(begin(api, bytes(100 * 65536)).content)
    request = request_of(*[part(bytes(65536))] * 99, part(bytes(65536), more=False))
    assert asyncio.run(append_body(request, service, upload.id, 0)) == 100 * 65536
    assert sum(sizes) == 100 * 65536
    assert max(sizes) == PIECE_BYTES


def test_files_that_several_servers_take_in_at_once_are_all_there(
    settings: Settings, api: TestClient
) -> None:
    names = [f"{number}.csv" for number in range(12)]
    with ThreadPoolExecutor(max_workers=6) as pool:
        changed = list(pool.map(lambda name: take_in(settings, name, name.encode()), names))
    assert changed == [True] * 12
    assert {file.name for file in uploaded(api)[0].files} == set(names)


def test_of_the_same_file_taken_in_at_once_one_is_kept(settings: Settings, api: TestClient) -> None:
    with ThreadPoolExecutor(max_workers=6) as pool:
        changed = list(pool.map(lambda _: take_in(settings, "points.csv", TABLE), range(12)))
    assert sum(changed) == 1
    assert len(uploaded(api)[0].files) == 1
