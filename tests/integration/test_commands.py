"""Commands as attempts of real workers: what they find, how they end, and what is left of them."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml

from tests import scripts
from tests.archives import write
from tests.contracts.executor_contract import PATIENCE_S, await_event, conduct_all, order
from tests.processes import processes_with
from tuner.executors.local import OWNER_MARK, LocalExecutor
from tuner.foreign import command
from tuner.foreign.manifest import manifest_of
from tuner.protocol import Ended, Judged, Reported, StartAttempt, StopAttempt, Verdict, WorkerEnded
from tuner.states import AttemptState, Reason
from tuner.workers import logs

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "torchrun"
SCRIPTS = str(Path(scripts.__file__))
Order = Callable[..., StartAttempt]


@pytest.fixture(scope="module")
def log_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def executor(log_root: Path) -> Iterator[LocalExecutor]:
    """One for the whole file: its fork server takes seconds to import PyTorch."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT))  # as where the package is installed
        patched.setenv("TUNER_API_TOKEN", "secret")
        patched.setenv("PGPASSWORD", "secret")
        patched.setenv("RANK_OF_NOTHING", "kept")
        with LocalExecutor(log_root, modules=["tests.programs"]) as found:
            yield found


@pytest.fixture
def a_command(tmp_path: Path) -> Order:
    """An order that runs one of the scripts; all orders of a test are attempts of one trial."""

    def made(*arguments: str, program: str = "run", **changes: Any) -> StartAttempt:
        payload = {
            "command": ["python", SCRIPTS, *arguments],
            "params": {"lr": 1e-5},
            "job": "job_1",
            "number": 3,
            "seed": 10,
            "epochs": 9,
            "metric": "loss",
            "directions": ["minimize"],
            "reported": 0,
            "folder": str(tmp_path / "trial"),
            "code": None,
            "grace_s": 60.0,
            "allowed": True,
        }
        start = order("returns", **payload | changes)
        return replace(start, program=f"tuner.foreign.command:{program}", foreign=True, threads=2)

    return made


def carried_out(executor: LocalExecutor, start: StartAttempt) -> tuple[list[Reported], Ended]:
    """What the attempt reports, all of which is to go on, and how it ends."""
    *reported, ended = conduct_all(executor, [start])[start.attempt]
    assert isinstance(ended, Ended)
    return [event for event in reported if isinstance(event, Reported)], ended


def stopped(executor: LocalExecutor, start: StartAttempt, reason: Reason, after: int = 1) -> Ended:
    """Start the attempt, and have it stop once it has reported so many steps."""
    executor.start(start)
    for _ in range(after):
        event = await_event(executor, start.attempt, Reported)
        judged = Judged(attempt=start.attempt, step=event.step, verdict=Verdict.CONTINUE)
        executor.send(judged)
    executor.send(StopAttempt(attempt=start.attempt, reason=reason))
    ended: Ended = await_event(executor, start.attempt, Ended)
    return ended


def log_of(log_root: Path, start: StartAttempt) -> str:
    return logs.read(logs.path_of(log_root, start.attempt)).text


def facts_in(log: str) -> dict[str, Any]:
    """What a script has found around it."""
    (line,) = [line for line in log.splitlines() if line.startswith("FACTS ")]
    facts: dict[str, Any] = json.loads(line.removeprefix("FACTS "))
    return facts


def code_in(folder: Path) -> dict[str, Any]:
    """What a worker is told of the code in a folder."""
    return {"sha256": manifest_of(folder).sha256, "folder": str(folder), "refused": None}


def left_of(executor: LocalExecutor, start: StartAttempt) -> set[int]:
    """Processes of the attempt's command that live."""
    return processes_with(OWNER_MARK, executor.mark) & processes_with(
        "TUNER_ATTEMPT", str(start.attempt)
    )


class TestSurroundings:
    """What a command is given."""

    def test_it_finds_its_values_and_its_folder(
        self, executor: LocalExecutor, a_command: Order, log_root: Path, tmp_path: Path
    ) -> None:
        start = a_command(
            "describes",
            "{lr}",
            "{trial} {seed} {epochs} {gpus} {cpus}",
            "{checkpoint_dir}",
            "$HOME; *",
        )
        _, ended = carried_out(executor, start)
        assert ended.value == 1.0, ended
        facts = facts_in(log_of(log_root, start))
        checkpoints = str(tmp_path / "trial" / "checkpoints")
        assert facts["arguments"] == ["1e-05", "3 10 9 0 2", checkpoints, "$HOME; *"]
        assert os.path.isdir(checkpoints)
        environ = facts["environ"]
        ours = {name: value for name, value in environ.items() if name.startswith("TUNER_")}
        assert ours == {
            "TUNER_JOB": "job_1",
            "TUNER_TRIAL": "3",
            "TUNER_ATTEMPT": str(start.attempt),
            "TUNER_SEED": "10",
            "TUNER_PARAMS": '{"lr": 1e-05}',
            "TUNER_METRICS": str(tmp_path / "trial" / "metrics.jsonl"),
            "TUNER_CHECKPOINT_DIR": checkpoints,
            OWNER_MARK: executor.mark,
        }
        assert "secret" not in environ.values()
        assert environ["RANK_OF_NOTHING"] == "kept"
        assert (environ["OMP_NUM_THREADS"], environ["CUDA_VISIBLE_DEVICES"]) == ("2", "")
        assert facts["folder"] == environ["TMPDIR"]
        assert (facts["stdin"], facts["group"], facts["descriptors"]) == ("", True, 4)

    def test_it_finds_the_gpus_it_may_use(
        self, executor: LocalExecutor, a_command: Order, log_root: Path
    ) -> None:
        start = replace(a_command("describes", "{gpus}"), gpus=(1, 3))
        _, ended = carried_out(executor, start)
        assert ended.value == 1.0, ended
        facts = facts_in(log_of(log_root, start))
        assert facts["arguments"] == ["2"]
        assert facts["environ"]["CUDA_VISIBLE_DEVICES"] == "1,3"

    def test_the_probe_starts_nothing_and_tells_what_would_be_started(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path
    ) -> None:
        _, ended = carried_out(executor, a_command("describes", program="probe"))
        assert ended.state is AttemptState.SUCCEEDED
        assert ended.facts["program"] == str(Path(sys.executable).parent / "python")
        assert not (tmp_path / "trial").exists()

    @pytest.mark.parametrize("program", ["probe", "run"])
    def test_what_cannot_be_started_fails_with_the_reason(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path, program: str
    ) -> None:
        missing = a_command(program=program, command=["no-such-program", "{lr}"])
        _, ended = carried_out(executor, missing)
        assert ended.reason is Reason.USER_ERROR
        assert "'no-such-program': no folder of PATH" in str(ended.detail)
        _, ended = carried_out(executor, a_command("describes", program=program, allowed=False))
        assert (ended.reason, ended.detail) == (Reason.USER_ERROR, command.NOT_ALLOWED)
        code = code_in(write(tmp_path / "code", {"train": "no shebang"}))
        without = a_command(program=program, command=["./train"], code=code)
        _, ended = carried_out(executor, without)
        assert "'./train': " in str(ended.detail)
        assert "is not executable; chmod +x it" in str(ended.detail)

    def test_what_no_program_reads_is_found_when_it_is_started(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path
    ) -> None:
        code = write(tmp_path / "code", {"train": "no shebang"})
        (code / "train").chmod(0o755)
        _, ended = carried_out(executor, a_command(command=["./train"], code=code_in(code)))
        assert ended.reason is Reason.USER_ERROR
        assert "'./train' cannot be started: [Errno 8]" in str(ended.detail)

    def test_it_starts_in_a_copy_of_its_code_and_may_write_there(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path, log_root: Path
    ) -> None:
        script = "import json, os, sys, own\nopen('own.py', 'a').write('altered')\nown.done()\n"
        own = "from tuner import report\n\n\ndef done():\n    report(loss=0.5)\n"
        folder = write(tmp_path / "code", {"train.py": script, "own.py": own, "below/data": "x"})
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = code_in(folder)
        start = a_command(command=["python", "train.py"], code=code)
        _, ended = carried_out(executor, start)
        assert ended.value == 0.5, log_of(log_root, start)
        assert code_in(folder) == code
        assert sorted(path.name for path in folder.iterdir()) == ["below", "own.py", "train.py"]
        for path in [folder, folder / "below"]:
            path.chmod(0o755)  # so that whoever is not root can take it away

    @pytest.mark.parametrize("program", ["probe", "run"])
    def test_code_that_is_another_or_not_taken_any_more_does_not_run(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path, program: str
    ) -> None:
        folder = write(tmp_path / "code", {"train.py": "print()"})
        code = code_in(folder)
        (folder / "train.py").write_text("print(1)")
        for given, said in ((code, "was altered in"), (code | {"refused": "Not here."}, "Not he")):
            _, ended = carried_out(executor, a_command("ends", "0", program=program, code=given))
            assert ended.reason is Reason.USER_ERROR
            assert said in str(ended.detail)


class TestReports:
    """What it reports, and what its value is."""

    def test_its_value_is_the_best_it_reported(
        self, executor: LocalExecutor, a_command: Order
    ) -> None:
        lines = ['{"loss": 3}', '{"loss": 1, "acc": 0}', '{"acc": 9}', '{"loss": 2}']
        reported, ended = carried_out(executor, a_command("reports", *map(braced, lines)))
        assert [(report.step, report.metrics) for report in reported] == [
            (1, {"loss": 3.0}),
            (2, {"loss": 1.0, "acc": 0.0}),
            (3, {"acc": 9.0}),
            (4, {"loss": 2.0}),
        ]
        assert (ended.state, ended.value) == (AttemptState.SUCCEEDED, 1.0)
        assert ended.facts == {"best_step": 2}

    @pytest.mark.parametrize(
        ("lines", "reason", "said"),
        [
            ([], Reason.NO_RESULT, "without a report. Have it call tuner.report(loss=…)"),
            (['{"los": 3}'], Reason.NO_RESULT, "a report of loss, by which it is judged, did you"),
            (['{"loss": NaN}'], Reason.NAN, "No loss that the command reported is a finite number"),
        ],
    )
    def test_an_end_without_a_value_says_what_was_reported(
        self,
        executor: LocalExecutor,
        a_command: Order,
        lines: list[str],
        reason: Reason,
        said: str,
    ) -> None:
        _, ended = carried_out(executor, a_command("reports", *map(braced, lines)))
        assert ended.reason is reason
        assert said in str(ended.detail)

    def test_what_is_no_report_is_counted_in_the_log(
        self, executor: LocalExecutor, a_command: Order, log_root: Path
    ) -> None:
        start = a_command("reports", "loss is 3", "still 3", '{{"loss": 3}}')
        _, ended = carried_out(executor, start)
        assert ended.value == 3.0
        text = log_of(log_root, start)
        assert "tuner: a line of TUNER_METRICS is ignored: no JSON: loss is 3" in text
        assert "tuner: lines of TUNER_METRICS that are ignored: 2: no JSON" in text

    def test_a_pruned_command_is_told_and_may_save(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path
    ) -> None:
        start = a_command("trains", "5", "5")
        *_, ended = conduct_all(
            executor,
            [start],
            lambda report: Verdict.PRUNE if report.step == 5 else Verdict.CONTINUE,
        )[start.attempt]
        assert isinstance(ended, Ended)
        assert (ended.state, ended.reason) == (AttemptState.PRUNED, Reason.PRUNED)
        assert (tmp_path / "trial" / "checkpoints" / "told").exists()

    @pytest.mark.parametrize(
        ("reason", "state"),
        [
            (Reason.PREEMPTED, AttemptState.PREEMPTED),
            (Reason.CANCELLED, AttemptState.CANCELLED),
        ],
    )
    def test_a_stopped_command_ends_for_the_reason_given_whatever_its_code(
        self, executor: LocalExecutor, a_command: Order, reason: Reason, state: AttemptState
    ) -> None:
        ended = stopped(executor, a_command("trains", "9", "3"), reason, after=3)
        assert (ended.state, ended.reason) == (state, reason)

    def test_the_next_attempt_goes_on_where_it_stopped(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path
    ) -> None:
        stopped(executor, a_command("trains", "6", "3"), Reason.PREEMPTED, after=3)
        # The scheduler has heard of less than it was sent, as where it ended in between.
        reported, ended = carried_out(executor, a_command("trains", "6", "3", reported=2))
        assert [(report.step, report.metrics["began"]) for report in reported] == [
            (3, 0.0),
            (4, 3.0),
            (5, 3.0),
            (6, 3.0),
        ]
        assert (ended.value, ended.facts) == (1 / 6, {"best_step": 6})

    def test_the_best_of_an_earlier_attempt_counts(
        self, executor: LocalExecutor, a_command: Order, tmp_path: Path
    ) -> None:
        stopped(executor, a_command("trains", "6", "3"), Reason.PREEMPTED, after=3)
        start = a_command("trains", "6", "3", reported=3, directions=["maximize"])
        reported, ended = carried_out(executor, start)
        assert [report.step for report in reported] == [4, 5, 6]
        assert (ended.value, ended.facts) == (1.0, {"best_step": 1})


class TestEnds:
    """How commands end that do not end well, and what is left of them."""

    def test_an_exit_code_is_told_with_the_last_words(
        self, executor: LocalExecutor, a_command: Order, log_root: Path
    ) -> None:
        start = a_command("ends", "7", "Traceback", "ValueError: lr is too large", "=====")
        _, ended = carried_out(executor, start)
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
        assert ended.detail == (
            "The command exited with code 7: ValueError: lr is too large\n"
            "Traceback\nValueError: lr is too large\n====="
        )
        assert "ValueError: lr is too large" in log_of(log_root, start)

    @pytest.mark.parametrize(
        ("arguments", "reason", "said"),
        [
            (("1",), Reason.USER_ERROR, "code 1, and said nothing on stderr."),
            (("-11", "oh"), Reason.CRASHED, "ended by signal 11 (Segmentation fault): oh\noh"),
            (("-15",), Reason.CRASHED, "ended by signal 15 (Terminated), and said nothing"),
            (("1", "torch: CUDA out of memory."), Reason.OOM_GPU, "code 1: torch: CUDA out"),
        ],
    )
    def test_the_reason_is_told_by_code_signal_and_words(
        self,
        executor: LocalExecutor,
        a_command: Order,
        arguments: tuple[str, ...],
        reason: Reason,
        said: str,
    ) -> None:
        _, ended = carried_out(executor, a_command("ends", *arguments))
        assert ended.reason is reason
        assert said in str(ended.detail)

    def test_one_that_is_deaf_is_killed_after_the_grace(
        self, executor: LocalExecutor, a_command: Order
    ) -> None:
        start = a_command("waits", "deaf", grace_s=0.2)
        ended = stopped(executor, start, Reason.PREEMPTED)
        assert ended.state is AttemptState.PREEMPTED
        assert left_of(executor, start) == set()

    @pytest.mark.parametrize("way", ["ends", "waits"])
    def test_no_process_is_left_once_its_end_is_told(
        self, executor: LocalExecutor, a_command: Order, way: str
    ) -> None:
        neighbour = order("waits")
        executor.start(neighbour)
        await_event(executor, neighbour.attempt, Reported)
        start = a_command("has_children", way, grace_s=5.0)
        if way == "ends":
            _, ended = carried_out(executor, start)
            assert ended.state is AttemptState.SUCCEEDED, ended
        else:
            stopped(executor, start, Reason.CANCELLED)
        assert left_of(executor, start) == set()
        executor.kill(neighbour.attempt)  # which is still there to be
        assert await_event(executor, neighbour.attempt, WorkerEnded).exit_code == -9

    def test_a_killed_worker_takes_its_command_along(
        self, executor: LocalExecutor, a_command: Order
    ) -> None:
        start = a_command("has_children", "waits")
        executor.start(start)
        await_event(executor, start.attempt, Reported)
        family = [psutil.Process(pid) for pid in left_of(executor, start)]
        assert len(family) > 20
        executor.kill(start.attempt)
        await_event(executor, start.attempt, WorkerEnded)
        # Those of several generations end one after the other.
        _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
        assert alive == []

    def test_gigabytes_of_output_cost_the_cap_of_the_log(
        self, executor: LocalExecutor, a_command: Order, log_root: Path
    ) -> None:
        start = a_command("floods", "64")
        _, ended = carried_out(executor, start)
        assert ended.value == 1.0
        page = logs.read(logs.path_of(log_root, start.attempt))
        assert page.size >= 128 << 20
        kept = sum(file.stat().st_size for file in log_root.glob(f"{start.attempt}.log*"))
        assert kept <= logs.DEFAULT_CAP_BYTES


@pytest.mark.timeout(300)  # torchrun and each of its processes import PyTorch
class TestTorchrun:
    """Several processes that train as one, started by torchrun in sessions of their own."""

    @pytest.fixture
    def torchrun(self, a_command: Order) -> Order:
        """An order of the example, with so many epochs."""
        document = yaml.safe_load((EXAMPLE / "spec.yaml").read_text())

        def made(epochs: int, **changes: Any) -> StartAttempt:
            return a_command(
                command=document["command"],
                params={"lr": 0.1, "width": 8},
                code=code_in(EXAMPLE),
                metric=document["metric"],
                epochs=epochs,
                **changes,
            )

        return made

    def test_it_is_preempted_and_goes_on_from_its_checkpoint(
        self, executor: LocalExecutor, torchrun: Order, tmp_path: Path
    ) -> None:
        start = torchrun(10**6)
        ended = stopped(executor, start, Reason.PREEMPTED, after=2)
        assert (ended.state, ended.reason) == (AttemptState.PREEMPTED, Reason.PREEMPTED)
        assert left_of(executor, start) == set()
        saved = torch.load(tmp_path / "trial" / "checkpoints" / "newest.pt", weights_only=True)
        done = saved["epoch"]
        again = torchrun(done + 2, reported=done)
        reported, ended = carried_out(executor, again)
        assert [report.step for report in reported] == [done + 1, done + 2], ended
        losses = (tmp_path / "trial" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in losses] == list(range(1, done + 3))
        assert ended.value == min(json.loads(line)["val_loss"] for line in losses)
        assert left_of(executor, again) == set()

    def test_it_is_pruned(self, executor: LocalExecutor, torchrun: Order) -> None:
        start = torchrun(10**6)
        ended = conduct_all(executor, [start], lambda report: Verdict.PRUNE)[start.attempt][-1]
        assert isinstance(ended, Ended)
        assert ended.state is AttemptState.PRUNED
        assert left_of(executor, start) == set()


def braced(text: str) -> str:
    """The text as an argument that says it."""
    return text.replace("{", "{{").replace("}", "}}")
