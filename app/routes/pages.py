"""The pages for people: the start page and the interactive documentation."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

PAGES: Final = Path(__file__).parent.parent / "pages"
#: Everything comes from here: the pages work without a network, and run no foreign script.
POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def files() -> StaticFiles:
    """Scripts, styles and pictures of the pages."""
    return StaticFiles(directory=PAGES)


@router.get("/")
async def index() -> Response:
    """The start page."""
    return _page("index.html")


@router.get("/docs")
async def docs() -> Response:
    """The API, to read and to try."""
    return _page("docs.html")


def _page(name: str) -> Response:
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    return FileResponse(PAGES / name, headers=headers)
