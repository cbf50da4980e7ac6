"""Answers as text and tables for people."""

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from tuner.catalog_views import CatalogList
from tuner.commands.words import (
    chosen,
    duration,
    number,
    params,
    searched,
    steps_of,
    whereabouts,
    why,
    worth,
)
from tuner.dataset_views import UploadedData
from tuner.disk import in_words
from tuner.foreign.views import CodeSummary
from tuner.views import AttemptView, BestList, JobDetail, JobView, Progress, Resolved, TrialView

#: Wider than any line: what reads a pipe does not want them wrapped.
PIPE_WIDTH: Final = 1000
#: Characters of a line about a trial beside its parameters.
OTHER_COLUMNS: Final = 58
#: Trials of which a job's overview says why they failed, newest first.
MOST_FAILURES: Final = 5
#: Columns that are worth nothing when cut.
UNCUT: Final = ("job", "hyperparameter")

if TYPE_CHECKING:
    from tuner.invariants.check import Checkup
    from tuner.serving.findings import Finding

STYLES: Final = {
    "queued": "dim",
    "running": "cyan",
    "paused": "yellow",
    "cancelling": "yellow",
    "succeeded": "green",
    "completed": "green",
    "pruned": "dim",
    "failed": "red",
    "cancelled": "red",
}


def state(name: str) -> str:
    """A state in its colour."""
    return f"[{STYLES.get(name, 'default')}]{escape(name)}[/]"


def plain_table(*columns: str) -> Table:
    """A table without lines; its numbers stand right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        table.add_column(column.lstrip(">"), justify=justify, no_wrap=column in UNCUT)
    return table


def jobs_table(jobs: Iterable[JobView]) -> Table:
    """One line per job."""
    table = plain_table("job", "name", "state", ">trials", ">best", "metric", ">elapsed", ">ETA")
    for job in jobs:
        table.add_row(
            job.id,
            escape(job.name),
            state(job.state),
            f"{job.progress.finished}/{job.budget.trials}",
            "-" if job.best is None else number(job.best.value),
            job.metric,
            duration(job.progress.elapsed_seconds),
            duration(job.progress.eta_seconds),
        )
    return table


def trials_table(
    trials: Iterable[TrialView], job: JobDetail, *, width: int, epochs: int | None = None
) -> Table:
    """One line per trial; `width` is what its parameters may take, `epochs` how many there are."""
    metrics, steps = ", ".join(job.metrics) or job.metric, "epochs" if job.model else "steps"
    table = plain_table(">trial", "state", f">{metrics}", f">{steps}", ">seconds", "parameters")
    for trial in trials:
        table.add_row(
            str(trial.number),
            state(trial.state)
            + (f" {escape(str(trial.reason))}" if trial.state == "failed" else ""),
            worth(trial),
            whereabouts(trial, epochs),
            "-" if trial.seconds is None else f"{trial.seconds:.1f}",
            escape(params(chosen(trial.params, job), max(20, width))),
        )
    return table


def datasets_table(datasets: Iterable[UploadedData]) -> Table:
    """One line per uploaded data set."""
    table = plain_table("name", ">files", ">bytes", "uploaded", "SHA-256")
    for data in datasets:
        at = f"{data.created_at:%Y-%m-%d %H:%M}"
        table.add_row(data.name, str(len(data.files)), f"{data.bytes:,}", at, data.sha256[:12])
    return table


def code_table(code: Iterable[CodeSummary]) -> Table:
    """One line per folder of code."""
    table = plain_table("SHA-256", ">files", ">bytes", "last used", "modules")
    for each in code:
        at, modules = f"{each.used_at:%Y-%m-%d %H:%M}", ", ".join(each.modules)
        table.add_row(each.sha256[:12], str(each.file_count), f"{each.bytes:,}", at, modules)
    return table


def facts_table(facts: dict[str, str]) -> Table:
    """Names and values; the values may hold markup."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, value)
    return table


def show_job(
    console: Console,
    job: JobDetail,
    url: str,
    under_way: Iterable[TrialView] = (),
    failed: Iterable[TrialView] = (),
    probes: Iterable[AttemptView] = (),
) -> None:
    """Everything worth knowing of a job: where its trials under way are, why others, or its probes,
    failed."""
    counts = job.counts.model_dump(exclude={"created"})
    facts = {
        "job": job.id,
        "name": escape(job.name),
        "state": state(job.state) + (f" ({escape(str(job.reason))})" if job.reason else ""),
        "what": escape(job.what),
        "objective": ", ".join(f"{way} {metric}" for metric, way in job.metrics.items()),
        "budget": params(job.budget.model_dump(exclude_none=True, exclude=_unsaid(job))),
        "trials": params({name: count for name, count in counts.items() if count}) or "none yet",
        "progress": f"{job.progress.fraction:.0%}",
        "time": _time(job.progress),
        "disk": "unknown" if job.disk_bytes is None else in_words(job.disk_bytes),
        "revision": str(job.revision),
        "seed": str(job.seed),
    }
    step = "epoch" if job.model else "step"
    places = [f"trial {t.number}: {step} {whereabouts(t, steps_of(job))}" for t in under_way]
    if places:
        facts["under way"] = "\n".join(places)
    if failures := [f"trial {t.number}: {why(t)}" for t in islice(failed, MOST_FAILURES)]:
        facts["failed"] = escape("\n".join(failures))
    if job.detail:
        facts["detail"] = escape(job.detail)
    if code := job.spec.get("code"):
        facts["code"] = escape(params(code))
    if job.labels:
        facts["labels"] = escape(params(job.labels))
    if job.best is not None:
        facts["best"] = f"{number(job.best.value)} (trial {job.best.number})"
        facts["with"] = escape(params(chosen(job.best.params, job)))
    if job.notes:
        facts["notes"] = escape("\n".join(job.notes))
    if job.dashboard_url:
        facts["dashboard"] = url + job.dashboard_url
    console.print(facts_table(facts))
    show_last_traceback(console, probes)


def _unsaid(job: JobDetail) -> set[str]:
    """What a budget says in vain: an objective's trials have as many steps as it likes."""
    return {"epochs"} if job.objective is not None else set()


def show_last_traceback(console: Console, attempts: Iterable[AttemptView]) -> None:
    """That of the last attempt that has one."""
    traces = [attempt.traceback for attempt in attempts if attempt.traceback]
    if traces:
        console.print(escape(traces[-1].rstrip()))


def _time(progress: Progress) -> str:
    elapsed = duration(progress.elapsed_seconds)
    if progress.eta_seconds is None:
        return elapsed
    return f"{elapsed} so far, {duration(progress.eta_seconds)} to go"


def show_best(console: Console, best: BestList, job: JobDetail) -> None:
    """The best trial's parameters, one per line; a table where several were asked for."""
    if len(best.best) > 1:
        console.print(trials_table(best.best, job, width=console.width - OTHER_COLUMNS))
        return
    for trial in best.best:
        value = worth(trial) if trial.value is None else f"{trial.value:.6g}"
        metrics = ", ".join(best.metrics) or best.metric
        console.print(f"{metrics} {value} (trial {trial.number})")
        shown = chosen(trial.params, job)
        console.print(facts_table({k: escape(number(v)) for k, v in shown.items()}))
        rest = {name: value for name, value in trial.params.items() if name not in shown}
        if rest:
            console.print(f"[dim]fixed: {escape(params(rest))}[/]")


def show_resolved(console: Console, resolved: Resolved) -> None:
    """What a submission would become."""
    facts = {"objective": f"{resolved.direction} {resolved.metric}"}
    if (sizes := resolved.parameters) is not None:
        of_sizes = f"{sizes.smallest:,} to {sizes.largest:,}, default {sizes.default:,}"
        facts["parameters"] = of_sizes
        facts["memory"] = f"{resolved.memory_mb or 0:,.0f} MB at most"
    if resolved.default_config:
        facts["default"] = escape(params(resolved.default_config))
    if resolved.notes:
        facts["notes"] = escape("\n".join(resolved.notes))
    console.print(facts_table(facts))
    if resolved.space:
        console.print(parameters_table(resolved.space))


def parameters_table(parameters: Iterable[dict[str, Any]]) -> Table:
    """Hyperparameters with what is searched, and where it comes from."""
    table = plain_table("hyperparameter", ">default", "searched", "source")
    for parameter in parameters:
        default = parameter.get("default", parameter.get("fixed"))
        cells = (parameter.get("name"), number(default), searched(parameter))
        table.add_row(*(escape(str(cell)) for cell in cells), escape(parameter.get("source", "")))
    return table


class PipeConsole(Console):
    """Writes lines as long as they need be, without the blanks that fill a terminal's width."""

    def __init__(self) -> None:
        super().__init__(highlight=False, width=PIPE_WIDTH)

    def print(self, *objects: Any, **rest: Any) -> None:
        """Write the objects, each line stripped."""
        with self.capture() as captured:
            super().print(*objects, **rest)
        self.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def terminal() -> Console:
    """The console of stdout, be it a terminal or not."""
    console = Console(highlight=False)
    return console if console.is_terminal else PipeConsole()


def show_catalogue(console: Console, entries: CatalogList) -> None:
    """Each entry with its hyperparameters."""
    for entry in entries.entries:
        console.print(f"[bold]{escape(entry.name)}[/]  {escape(entry.summary)}")
        if entry.facts:
            console.print(f"  [dim]{escape(params(entry.facts))}[/]")
        if entry.hyperparameters:
            console.print(Padding(parameters_table(entry.hyperparameters), (0, 0, 1, 2)))


def show_findings(console: Console, findings: "Iterable[Finding]") -> None:
    """What the doctor saw, one line each, with the remedy where one is needed."""
    colours = {"ok": "green", "warning": "yellow", "broken": "red"}
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        detail = escape(finding.detail)
        if finding.remedy:
            detail += f"\n[bold]{escape(finding.remedy)}[/]"
        mark = f"[{colours[finding.status]}]{finding.status}[/]"
        table.add_row(mark, finding.subject, detail)
    console.print(table)


def show_checkup(console: Console, checked: "Checkup") -> None:
    """What was looked at, and each breach with where it is and how to mend it."""
    console.print(
        f"Looked at {checked.jobs:,} jobs, {checked.trials:,} trials, {checked.attempts:,} "
        f"attempts and {checked.files:,} files: {len(checked.breaches):,} breaches."
    )
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for breach in checked.breaches:
        remedy = f"[bold]{escape(breach.remedy)}[/]"
        where = f"{escape(breach.where)}: " if breach.where else ""
        cell = f"{where}{escape(breach.detail)}\n{remedy}"
        table.add_row(f"[red]{breach.invariant}[/]", cell)
    if checked.breaches:
        console.print(table)
