"""What Optuna makes of a job's trials, shown to it through the read-only view of our tables.

Importing this module imports Optuna, which the API does only when it is asked for this.
"""

import tempfile
from pathlib import Path

from optuna import load_study
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tuner.db import Database
from tuner.storage_view import StorageView


def importances_of(db: Database, ulid: str) -> dict[str, float]:
    """The share of each searched parameter in what makes a value good, by PED-ANOVA.

    Nothing where all completed trials have one value: Optuna would call all parameters equal.
    """
    study = load_study(study_name=ulid, storage=StorageView(db))
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in completed}) < 2:
        return {}
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


def journal_of(db: Database, job: int, ulid: str) -> bytes:
    """A journal file with one study, named after the job, that holds its finished trials."""
    view = StorageView(db)
    with tempfile.TemporaryDirectory(prefix="tuner-export-") as folder:
        file = Path(folder) / "optuna.journal"
        journal = JournalStorage(JournalFileBackend(str(file)))
        study = journal.create_new_study(view.get_study_directions(job), study_name=ulid)
        for trial in view.get_all_trials(job, deepcopy=False):
            if trial.state.is_finished():
                journal.create_new_trial(study, template_trial=trial)
        return file.read_bytes()
