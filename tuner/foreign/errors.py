"""What can be wrong with code of others, before any of it runs."""

from tuner.errors import TunerError


class CodeRefused(TunerError):
    """The code cannot be taken in."""

    def __init__(self, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.hint = hint


class CodeTooLarge(TunerError):
    """The code takes more than this server takes in."""

    def __init__(self, detail: str, setting: str) -> None:
        super().__init__(detail)
        self.hint = (
            f"Name what no trial needs in the folder's .tunerignore, or raise {setting} and start "
            "the server again."
        )


class CodeNotAllowed(TunerError):
    """This server takes no such code."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


class CodeNotFound(TunerError):
    """No code has this checksum."""

    hint = "GET /v1/code (or `tuner code list`) shows what there is."

    def __init__(self, sha256: str) -> None:
        super().__init__(f"No code {sha256}.")
        self.sha256 = sha256


class CodeInUse(TunerError):
    """A job that is not finished runs the code."""

    def __init__(self, sha256: str, job: str) -> None:
        super().__init__(f"Job {job} runs code {sha256}, which must stay until it ends.")
        self.hint = f"Wait for the job, or end it: tuner cancel {job}."
        self.sha256 = sha256
        self.job = job
