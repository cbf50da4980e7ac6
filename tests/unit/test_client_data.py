"""Uploads by the client, against a server played by a function: what is sent, and sent again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.unit.test_client import Server, problem
from tuner.client import ApiError, Client, FileChanged, FilesRefused, ServerUnreachable

CONTENT = b"a,b\n1,2\n3,4\n"
UPLOAD = "/v1/uploads/0123"
LOST = httpx2.ReadError("connection reset")


@pytest.fixture(autouse=True)
def pieces_of_five_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.client.data.PIECE_BYTES", 5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "points.tar.gz"
    path.write_bytes(CONTENT)
    return path


def begun(offset: int = 0) -> httpx2.Response:
    upload = {"id": "0123", "name": "points", "filename": "points.tar.gz", "url": UPLOAD}
    return httpx2.Response(201, json=upload | {"offset": offset, "length": len(CONTENT)})


def stored() -> httpx2.Response:
    at = "2025-01-01T00:00:00Z"
    file = {"name": "points.tar.gz", "bytes": 12, "sha256": "ab", "added_at": at}
    data = {"name": "points", "bytes": 12, "sha256": "cd", "files": [file], "created_at": at}
    return httpx2.Response(200, json=data)


def more() -> httpx2.Response:
    return httpx2.Response(204)


def sent(server: Server) -> list[tuple[int, bytes]]:
    """Offset and bytes of every piece."""
    return [
        (int(request.headers["upload-offset"]), request.content)
        for request in server.requests
        if request.method == "PATCH"
    ]


def test_a_file_is_announced_with_its_checksum_and_sent_in_pieces(file: Path) -> None:
    server = Server(begun(), more(), more(), stored())
    steps: list[tuple[str, int, int]] = []
    with server.client() as tuner:
        data = tuner.add_data(file, progress=lambda *step: steps.append(step))
    assert data.files[0].name == "points.tar.gz"
    announced = server.requests[0]
    assert (announced.method, announced.url.path) == ("POST", "/v1/datasets")
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert dict(announced.url.params) == {
        "name": "points", "filename": "points.tar.gz", "sha256": digest
    }  # fmt: skip
    assert announced.headers["upload-complete"] == "?0"
    assert announced.headers["upload-length"] == "12"
    assert sent(server) == [(0, CONTENT[:5]), (5, CONTENT[5:10]), (10, CONTENT[10:])]
    assert [now for _, now, _ in steps] == [0, 5, 10, 12]


def test_a_broken_upload_goes_on_where_the_server_has_it(file: Path) -> None:
    server = Server(begun(), more(), LOST, begun(7), LOST, begun(7), stored())
    with server.client() as tuner:
        tuner.add_data(file)
    assert sent(server)[2:] == [(7, CONTENT[7:]), (7, CONTENT[7:])]


@pytest.mark.parametrize(
    "passing",
    [
        LOST,
        problem(409, type="/problems#upload-offset-wrong"),
        problem(404, type="/problems#upload-not-found"),
        problem(502),
        problem(503),
        problem(504),
    ],
)
def test_what_passes_is_tried_again(file: Path, passing: httpx2.Response | Exception) -> None:
    server = Server(begun(10), passing, begun(10), stored())
    with server.client() as tuner:
        assert tuner.add_data(file, "points").name == "points"


def test_an_upload_whose_last_answer_was_lost_is_known_to_be_done(file: Path) -> None:
    server = Server(begun(10), LOST, stored())
    with server.client() as tuner:
        assert tuner.add_data(file).bytes == 12


def test_an_upload_that_lacks_only_its_check_is_finished_by_an_empty_piece(file: Path) -> None:
    server = Server(begun(12), stored())
    with server.client() as tuner:
        tuner.add_data(file)
    assert sent(server) == [(12, b"")]


def test_a_file_that_is_there_already_is_not_sent(file: Path) -> None:
    server = Server(stored())
    with server.client() as tuner:
        tuner.add_data(file)
    assert sent(server) == []


@pytest.mark.parametrize(
    "refusal",
    [problem(409, type="/problems#dataset-taken"), problem(413), problem(422), problem(507)],
)
def test_a_refusal_is_final(file: Path, refusal: httpx2.Response) -> None:
    server = Server(begun(), refusal)
    with server.client() as tuner, pytest.raises(ApiError):
        tuner.add_data(file)
    assert len(server.requests) == 2


def test_a_server_that_stays_away_is_given_up_after_some_time(file: Path) -> None:
    server = Server(begun(), *[httpx2.ConnectError("refused")] * 200)
    with server.client() as tuner, pytest.raises(ServerUnreachable):
        tuner.add_data(file)
    assert 30 < sum(server.pauses) < 120


def test_a_server_that_takes_a_byte_each_time_is_not_given_up(file: Path) -> None:
    answers: list[httpx2.Response | Exception] = []
    for offset in range(12):
        answers += [begun(offset), *[LOST, begun(offset)] * 20, LOST]
    server = Server(*answers, begun(11), stored())
    with server.client() as tuner:
        tuner.add_data(file)
    assert server.answers == []


def test_a_file_that_became_shorter_is_not_sent_on(file: Path) -> None:
    server = Server(begun(), more())

    def cut(name: str, now: int, total: int) -> None:
        file.write_bytes(CONTENT[:3])

    with server.client() as tuner, pytest.raises(FileChanged, match="became shorter while"):
        tuner.add_data(file, progress=cut)


def test_the_files_of_a_folder_are_sent_under_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "digits.idx"
    folder.mkdir()
    for name in ("b", "a", ".hidden"):
        (folder / name).write_bytes(b"1")
    server = Server(stored(), stored())
    with server.client() as tuner:
        tuner.add_data(str(folder))
    params = [dict(request.url.params) for request in server.requests]
    assert [(p["name"], p["filename"]) for p in params] == [
        ("digits.idx", "a"),
        ("digits.idx", "b"),
    ]


def two_files(folder: Path) -> list[Path]:
    for name in ("a", "b"):
        (folder / name).write_bytes(b"1")
    return [folder / "a", folder / "b"]


def folder_in_folder(folder: Path) -> Path:
    (folder / "cats" / "one").mkdir(parents=True)
    return folder / "cats"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda folder: folder / "nowhere.csv", "There is no file .*nowhere.csv."),
        (two_files, "2 files need a name in common."),
        (folder_in_folder, "cats/one is no file; a data set has files and no folders."),
        (lambda folder: folder, "No file is named."),
    ],
)
def test_what_cannot_be_uploaded_is_refused_without_asking_the_server(
    tmp_path: Path, given: Callable[[Path], Any], said: str
) -> None:
    server = Server()
    with server.client() as tuner, pytest.raises(FilesRefused, match=said):
        tuner.add_data(given(tmp_path))


def test_a_data_set_is_deleted_by_its_name_and_no_other_path() -> None:
    server = Server(httpx2.Response(204))
    with server.client() as tuner:
        tuner.delete_data("../jobs")
    assert server.requests[0].url.raw_path == b"/v1/datasets/..%2Fjobs"


def test_data_are_listed_with_what_is_uploaded() -> None:
    entries = [
        {"name": "digits", "summary": "Digits."},
        {"name": "points", "summary": "Points.", "uploaded": stored().json()},
    ]
    server = Server(httpx2.Response(200, json={"entries": entries}))
    with server.client() as tuner:
        assert isinstance(tuner, Client)
        first, second = tuner.data()
    assert first.uploaded is None
    assert second.uploaded is not None
    assert second.uploaded.files[0].name == "points.tar.gz"
