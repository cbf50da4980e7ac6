"""How a job looks in a notebook."""

from html import escape

from tuner.views import JobView


def job_html(job: JobView) -> str:
    """A small table; every value is escaped, since names and labels are anybody's text."""
    rows = {
        "state": job.state + (f" ({job.reason})" if job.reason else ""),
        "objective": f"{job.direction} {job.metric}",
        "what": job.what,
        "trials": f"{job.progress.finished} of {job.budget.trials} ended, "
        f"{job.counts.running} running, {job.counts.pruned} pruned, {job.counts.failed} failed",
        "progress": f"{job.progress.fraction:.0%}",
        "best": "none yet",
    }
    if job.best is not None:
        rows["best"] = f"{job.best.value:.6g} (trial {job.best.number})"
        rows |= {f"best · {name}": str(value) for name, value in job.best.params.items()}
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{escape(job.name)} · {escape(job.id)}</caption>{body}</table>"
