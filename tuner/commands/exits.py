"""How a command ends: its exit code, and one block on stderr that says what went wrong."""

import errno
from enum import IntEnum
from typing import Any, Final

import typer
from typer.core import TyperGroup

from tuner.errors import JobNotFound, SchedulerBusy, SpecInvalid, TunerError


class ExitCode(IntEnum):
    """What scripts may rely on."""

    OK = 0
    #: The job failed or was cancelled, or the command could not do its work.
    FAILED = 1
    #: The command or the spec is wrong.
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    #: The job's state does not allow it.
    CONFLICT = 5
    #: The server has recorded the wish; no scheduler has applied it yet.
    PENDING = 6
    INTERRUPTED = 130


EXIT_CODES: Final = """Exit codes: 0 fine; 1 the job failed, or the command did; 2 wrong usage or \
spec; 3 no server answers; 4 no such job or trial; 5 not in this state; 6 recorded, but not yet \
applied; 130 interrupted."""

STATUS_CODES: Final = {
    400: ExitCode.USAGE,
    401: ExitCode.USAGE,
    403: ExitCode.USAGE,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    413: ExitCode.USAGE,
    415: ExitCode.USAGE,
    422: ExitCode.USAGE,
}


class Commands(TyperGroup):
    """The group of all commands: the one place where errors become exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command that was named."""
        try:
            return super().invoke(ctx)
        except TunerError as error:
            typer.echo(block(error), err=True)
            raise typer.Exit(code_of(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # `tuner list | head`: typer ends quietly
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(ExitCode.FAILED) from error


def code_of(error: TunerError) -> ExitCode:
    """The exit code of an error."""
    from tuner.client import (
        AnswerNotUnderstood,
        ApiError,
        CodeRefused,
        FilesRefused,
        JobAmbiguous,
        ServerUnreachable,
    )
    from tuner.serving.exposure import ExposureRefused

    match error:
        case ApiError():
            return STATUS_CODES.get(error.status, ExitCode.FAILED)
        case SpecInvalid() | JobAmbiguous() | FilesRefused() | CodeRefused() | ExposureRefused():
            return ExitCode.USAGE
        case ServerUnreachable() | AnswerNotUnderstood():
            return ExitCode.UNREACHABLE
        case JobNotFound():
            return ExitCode.NOT_FOUND
        case SchedulerBusy():
            return ExitCode.PENDING
        case _:
            return ExitCode.FAILED


def block(error: TunerError) -> str:
    """The error in a few lines: what, where, and what to do next."""
    from tuner.client import ApiError

    faults = _faults(error)
    lines = ["error: this is not valid:"] if faults else [f"error: {error}"]
    lines += [f"  {pointer or '/'}: {detail}" for pointer, detail in faults]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    if isinstance(error, ApiError) and error.status >= 500:
        lines.append(f"request: {error.problem.request_id}")
    return "\n".join(lines)


def _faults(error: TunerError) -> list[tuple[str, str]]:
    from tuner.client import ApiError

    match error:
        case ApiError():
            return [(fault.pointer, fault.detail) for fault in error.errors]
        case SpecInvalid():
            return [(fault.pointer, fault.detail) for fault in error.faults]
        case _:
            return []
