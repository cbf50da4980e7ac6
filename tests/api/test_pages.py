"""The pages work without a network and run nothing foreign."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.routes.pages import PAGES
from tuner.db import Database

OURS = [page for page in PAGES.rglob("*") if page.suffix in {".html", ".js", ".css"}]


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: the database has no part in these."""
    return sqlite_database


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_only_what_this_server_has(api: TestClient, path: str) -> None:
    answer = api.get(path)
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert loaded
    for address in loaded:
        assert address.startswith("/")
        if address.startswith("/pages/"):
            assert api.get(address).status_code == 200, address


def test_every_link_of_the_start_page_leads_somewhere(api: TestClient) -> None:
    for address in re.findall(r'<a href="([^"]+)"', api.get("/").text):
        if address != "/dashboard":  # which is a process of its own
            assert api.get(address).status_code == 200, address


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.name)
def test_our_pages_name_no_other_server(page: Path) -> None:
    if "swagger" in page.parts:
        assert (page.parent / "LICENSE.txt").is_file()
        return
    foreign = re.findall(r"https?://(?!127\.0\.0\.1|www\.w3\.org)", page.read_text())
    assert foreign == []


@pytest.mark.parametrize(
    "path",
    ["/pages/../main.py", "/pages/%2e%2e/main.py", "/pages/..%2fmain.py", "/pages/%00", "/pages/"],
)
def test_only_pages_are_given_away(api: TestClient, path: str) -> None:
    assert api.get(path).status_code == 404
