"""A job's best network in Markdown: where it comes from, how good it is, how to use it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, Final

from models.data.entry import PYTHON
from tuner.service.presentation import elapsed_seconds
from tuner.spec import TrainingSpec
from tuner.store.rows import Row
from tuner.words import number, searched

_STATES: Final = ("completed", "pruned", "failed", "cancelled")
#: Shown of a target's classes.
_CLASSES: Final = 20


def card_of(job: Row, trial: Row, about: Mapping[str, Any], now: datetime) -> str:
    """The card of the network that `trial` left, of which its file says `about`.

    `job` is a whole row of a job.
    """
    spec, plan = TrainingSpec.parse(job.spec), job.plan
    metrics = about["metrics"]
    sections = (
        f"# {_text(job.name)}",
        f"`{spec.model}` for {_task(about)}, the best of {job.created} trials by "
        f"`{plan['metric']}` ({plan['direction']}d). Job `{job.ulid}`, trial {trial.number}.",
        "## How good it is",
        _results(metrics, about.get("test"), plan["metric"]),
        "## Data",
        _data(spec, about),
        "## Search",
        _search(job, spec, now),
        _space(plan["space"], trial.params),
        "## Training",
        _training(about),
        "## How to load it",
        _how_to(job.ulid),
        "## Limits",
        _limits(about, plan["metric"]),
    )
    return "\n\n".join(sections) + "\n"


def _task(about: Mapping[str, Any]) -> str:
    shape = about["shape"]
    what = f"{shape['classes']} classes" if shape["classes"] else "a number"
    size = " × ".join(map(str, shape["input_shape"]))
    return f"{what} of {shape['kind']} data ({size} an example)"


def _results(metrics: Mapping[str, float], test: Mapping[str, Any] | None, judged: str) -> str:
    names = [name.removeprefix("val_") for name in metrics if name.startswith("val_")]
    held = test["metrics"] if test else {}
    rows = []
    for name in names:
        bold = "**" if judged == f"val_{name}" else ""
        found = held.get(name, {})
        rows.append((f"{bold}{name}{bold}", metrics[f"val_{name}"], *_interval(found)))
    table = _table(("metric", "validation", "test", "test, 95 % interval"), rows)
    if not test:
        said = "There is no test split, so nothing here was measured on rows the search never saw."
    else:
        said = (
            f"The test split has {test['rows']:,} rows. The search never saw them: each completed "
            "trial's network met them once, after its training, and the figures went into its file "
            "alone. The intervals take rows for independent of each other: Wilson's for accuracy, "
            "the grouped jackknife's for the others."
        )
    return f"{table}\n\n{said}"


def _interval(found: Mapping[str, float | None]) -> tuple[object, str]:
    value, low, high = (found.get(name) for name in ("value", "low", "high"))
    if value is None:
        return "-", "-"
    return value, "-" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _data(spec: TrainingSpec, about: Mapping[str, Any]) -> str:
    source, shape, recipe = spec.data_source, about["shape"], about["recipe"]
    facts: dict[str, object] = {"data": source.name}
    if source.name == PYTHON.name:
        facts["data"] = source.path
    elif source.path is not None:
        facts["file"] = PurePath(source.path).name
    facts |= source.options
    classes = about["preparation"].get("classes") or []
    if classes:
        more = ", …" if len(classes) > _CLASSES else ""
        facts["classes"] = ", ".join(map(str, classes[:_CLASSES])) + more
    facts["rows"] = (
        f"{shape['train_rows']:,} to train, {shape['val_rows']:,} to validate, "
        f"{shape['test_rows']:,} to test"
    )
    facts["split seed"] = recipe["split_seed"]
    facts["fingerprint"] = about["data_fingerprint"]
    return _facts(facts)


def _search(job: Row, spec: TrainingSpec, now: datetime) -> str:
    spent = ", ".join(f"{getattr(job, s)} {s}" for s in _STATES if getattr(job, s))
    hours = timedelta(seconds=round(elapsed_seconds(job, now)))
    budget = ", ".join(f"{name} {value}" for name, value in job.budget.items() if value is not None)
    return _facts(
        {
            "budget": budget,
            "spent": f"{spent or 'nothing yet'}; {hours} hours",
            "sampler, pruner": f"{spec.search.sampler}, {spec.search.pruner}",
            "seed": job.plan["seed"],
        }
    )


def _space(space: Iterable[Mapping[str, Any]], params: Mapping[str, Any]) -> str:
    rows = [
        (f"`{parameter['name']}`", searched(parameter), params.get(parameter["name"], "-"))
        for parameter in space
    ]
    return _table(("hyperparameter", "searched", "this network"), rows)


def _training(about: Mapping[str, Any]) -> str:
    recipe, environment = about["recipe"], about.get("environment", {})
    facts = {
        "loss, optimizer": f"{recipe['loss']}, {recipe['optimizer']}",
        "epochs": f"{about['epoch']} of {recipe['epochs']}: the best one's weights",
        "seed": recipe["seed"],
    }
    if about.get("prepare"):
        facts["in front of the network"] = ", ".join(about["prepare"])
    versions = [f"{name} {environment[name]}" for name in ("tuner", "torch") if name in environment]
    versions += [f"Python {environment['python']}"] if "python" in environment else []
    if versions:
        facts |= {"versions": ", ".join(versions), "device": environment["device"]}
    return _facts(facts)


def _how_to(job: str) -> str:
    return (
        "```python\n"
        "from tuner import load_model\n\n"
        f'model = load_model("{job}")  # or the path of its safetensors file\n'
        'print(model.predict("new.csv").values)\n'
        "```\n\n"
        f"`tuner best {job} --model model.pt2` gives a program for `torch.export.load`, and "
        "`--model model.onnx` one for ONNX; neither needs this package."
    )


def _limits(about: Mapping[str, Any], metric: str) -> str:
    limits = [
        f"Epoch, configuration and network were chosen by `{metric}`: what is said of validation "
        "is therefore better than other rows will show.",
        "It answers for rows like those it was trained with; nothing warns of others.",
    ]
    if about.get("test"):
        limits.append("Choosing between networks by the test column would spoil it, too.")
    return "\n".join(f"- {limit}" for limit in limits)


def _facts(facts: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: {_text(number(value))}" for name, value in facts.items())


def _table(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(_text(number(cell)) for cell in line) + " |" for line in lines
    )


def _text(value: str) -> str:
    """What a person named, in one line, without what Markdown would take for its own."""
    plain = " ".join(value.split())
    return plain.replace("|", "\\|").replace("<", "&lt;")
