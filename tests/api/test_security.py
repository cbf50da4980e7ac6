"""Who is let in: by name, by origin, by token, and from where."""

import base64
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from tests.factories import make_spec
from tuner.db import Database
from tuner.serving.exposure import ExposureRefused, check_exposure, is_loopback
from tuner.settings import Settings

Open = Callable[..., TestClient]
TOKEN = "a long secret with umläuts"


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: the database has no part in these."""
    return sqlite_database


def basic(password: str, user: str = "me") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8700", "localhost:8700", "LOCALHOST", "[::1]:8700", "192.168.7.7:80", "gpu.lab"],
)
def test_our_own_names_and_plain_addresses_are_answered(open_api: Open, host: str) -> None:
    api = open_api(allowed_hosts=("gpu.lab", "only.lab:99"))
    assert api.get("/v1/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.com", "evil.com:8700", "localhost.evil.com", "127.0.0.1.evil.com", "", "only.lab"],
)
def test_a_rebound_name_is_refused(open_api: Open, host: str) -> None:
    api = open_api(allowed_hosts=("gpu.lab", "only.lab:99"))
    answer = api.get("/v1/jobs", headers={"host": host})
    assert answer.status_code == 403
    assert "TUNER_ALLOWED_HOSTS" in answer.json()["hint"]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "null",
        "http://127.0.0.1:3000",
        "http://127.0.0.1:8700.evil.com",
        "http://[",
    ],
)
def test_a_page_of_another_origin_changes_nothing(api: TestClient, origin: str) -> None:
    answer = api.post("/v1/jobs", json=make_spec(), headers={"origin": origin})
    assert answer.status_code == 403
    assert api.get("/v1/jobs", headers={"origin": origin}).json()["jobs"] == []


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8700", "https://proxy.lab"])
def test_a_page_of_our_own_may_submit(open_api: Open, origin: str) -> None:
    api = open_api(allowed_hosts=("proxy.lab",))
    answer = api.post("/v1/jobs", json=make_spec(), headers={"origin": origin})
    assert answer.status_code == 202


EVERYWHERE = [
    "/",
    "/docs",
    "/openapi.json",
    "/v1/jobs",
    "/v1/models",
    "/metrics",
    "/pages/index.js",
]
DASHBOARD = ["/dashboard", "/dashboard/studies/1", "/api/studies", "/static/bundle.js", "/csv/1"]


@pytest.mark.parametrize("path", [*EVERYWHERE, *DASHBOARD, "/nothing"])
def test_without_the_token_nothing_is_told(open_api: Open, path: str) -> None:
    answer = open_api(api_token=TOKEN).get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Basic realm="tuner"')
    assert answer.json()["title"] == "Unauthorized"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_token(open_api: Open, path: str) -> None:
    assert open_api(api_token=TOKEN).get(path).status_code == 200


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize(
    "given", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", basic(TOKEN), basic(TOKEN, "")]
)
def test_with_the_token_everything_is_answered(open_api: Open, path: str, given: str) -> None:
    answer = open_api(api_token=TOKEN).get(path, headers={"authorization": given.encode()})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer wrong", TOKEN, f"Token {TOKEN}", basic("wrong"), "Basic ***"],
)
def test_with_a_wrong_token_nothing_is_told(open_api: Open, given: str) -> None:
    api = open_api(api_token=TOKEN)
    assert api.get("/v1/jobs", headers={"authorization": given.encode()}).status_code == 401


def test_an_empty_token_is_no_token(open_api: Open) -> None:
    assert open_api(api_token="").get("/v1/jobs").status_code == 200
    with pytest.raises(ExposureRefused):
        create_app(Settings(api_token="", host="0.0.0.0"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.7.7", "gpu.lab"])
def test_the_service_is_not_opened_to_the_network_without_a_token(host: str) -> None:
    with pytest.raises(ExposureRefused, match="no API token"):
        create_app(Settings(host=host))
    check_exposure(Settings(host=host, api_token=TOKEN))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True), ("127.9.9.9", True),
     ("0.0.0.0", False), ("10.0.0.1", False), ("example.com", False), ("", False)],
)  # fmt: skip
def test_loopback_is_known_when_seen(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_what_comes_over_the_network_is_refused_without_a_token(open_api: Open) -> None:
    app = open_api().app
    networked = TestClient(app, base_url="http://192.168.7.7:8700")
    assert networked.get("/healthz").status_code == 403
    assert "TUNER_API_TOKEN" in networked.get("/").json()["hint"]
