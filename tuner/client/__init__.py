"""The public Python client: submit jobs, follow them, take the results away.

>>> with Client() as tuner:
...     job = tuner.submit(
...         {"model": "convnet", "data": "digits", "loss": "cross_entropy", "optimizer": "adamw"}
...     )
...     print(job.wait().best())
"""

from tuner.client.data import FileChanged, FilesRefused
from tuner.client.handles import Job
from tuner.client.jobs import Client, JobAmbiguous, WaitTimedOut
from tuner.client.transport import AnswerNotUnderstood, ApiError, ServerUnreachable
from tuner.foreign.errors import CodeRefused

__all__ = [
    "AnswerNotUnderstood",
    "ApiError",
    "Client",
    "CodeRefused",
    "FileChanged",
    "FilesRefused",
    "Job",
    "JobAmbiguous",
    "ServerUnreachable",
    "WaitTimedOut",
]
