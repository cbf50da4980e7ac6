"""What the service answers about code that was taken in."""

from datetime import datetime

from tuner.views import View


class CodeFileView(View):
    """A file of a folder of code."""

    #: From the folder on, with ``/``.
    path: str
    bytes: int
    sha256: str
    executable: bool


class CodeView(View):
    """A folder of code, named by its content."""

    sha256: str
    #: Of all files.
    bytes: int
    #: What can be imported from it.
    modules: list[str]
    #: By path.
    files: list[CodeFileView]
    created_at: datetime


class CodeList(View):
    """All code there is, the newest first."""

    code: list[CodeView]
