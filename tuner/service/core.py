"""The service, put together from its parts."""

from tuner.service.changes import Changes
from tuner.service.code import CodeOfOthers
from tuner.service.datasets import DataSets
from tuner.service.exports import Exports
from tuner.service.overview import Overview
from tuner.service.results import Results
from tuner.service.submission import Submission


class Service(Submission, Changes, Results, Exports, Overview, DataSets, CodeOfOthers):
    """What the API answers from: takes jobs in, passes wishes on, says how things are.

    In the database it writes new jobs and requests about jobs, and nothing else: states, counters
    and results are the scheduler's. Uploaded data and code are files, which it keeps. All
    methods may be called from any thread.
    """
