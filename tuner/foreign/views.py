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


class CodeSummary(View):
    """A folder of code, named by its content."""

    sha256: str
    #: Of all files.
    bytes: int
    file_count: int
    #: What can be imported from it.
    modules: list[str]
    #: When it was last sent or submitted.
    used_at: datetime


class CodeView(CodeSummary):
    """A folder of code with its files."""

    #: By path.
    files: list[CodeFileView]


class CodeList(View):
    """All code there is, what was used last first."""

    code: list[CodeSummary]
