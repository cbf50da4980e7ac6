"""Whatever a CSV file holds: it becomes finite numbers, or is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.catalog import DataRefused
from models.data.tables.options import SCALINGS, TASKS, TableOptions
from models.data.tables.preparation import TablePreparation
from models.data.tables.prepare import PreparedTable, prepare_table

#: Kinds of cells, of which a column has one or two.
CELLS = (
    ("1", "2", "3", "-4"),
    ("1.5", "2e3", ".5", "5."),
    ("a", "b", "c"),
    ("", "NA", "?"),
    ("true", "false", "True"),
    ("2020-01-01", "2021-12-31"),
    ("2020-01-01 10:00:00", "2020-02-30", "1969-12-31T23:59"),
    ('"x,y;z"', '"q\nz"', '""'),
    ("inf", "nan", "-inf", "1e308", "-1e308", "1e-320"),
    ("99999999999999999999", "9223372036854775807", "0x1F", "+5", "1_000"),
    (" 1", " a ", "1 "),
    ("10:30", "10:30:15"),
    ("ä", "日本"),
    ("2020/01/01", "01.02.2020"),
    ("007", "08"),
)
ROLES: tuple[dict[str, Any], ...] = ({}, {"group": "c0"}, {"time": "c0"}, {"categories": ("c0",)})


@st.composite
def files(draw: st.DrawFn) -> str:
    """Three columns, c0 to c2, of cells that mostly belong together."""
    kinds = [
        sum(draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=2)), ()) for _ in range(3)
    ]
    kinds[2] = draw(st.sampled_from(CELLS[:3]))
    rows, seed = draw(st.sampled_from([3, 12, 60])), draw(st.integers(0, 2**32 - 1))
    delimiter = draw(st.sampled_from(",;\t"))
    cells = np.random.default_rng(seed)
    lines = [delimiter.join(str(cells.choice(kind)) for kind in kinds) for _ in range(rows)]
    return "\n".join([delimiter.join(("c0", "c1", "c2")), *lines, ""])


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=files(),
    role=st.sampled_from(ROLES),
    task=st.sampled_from(TASKS),
    scaling=st.sampled_from(SCALINGS),
    test=st.sampled_from([0.0, 0.2]),
)
def test_any_table_becomes_finite_numbers_or_is_refused(
    tmp_path: Path, text: str, role: dict[str, Any], task: str, scaling: str, test: float
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    options = TableOptions(target="c2", task=task, scaling=scaling, test=test, **role)
    try:
        prepared = prepare_table(path, options, split_seed=0)
    except DataRefused:
        return
    check(prepared, path)


def check(prepared: PreparedTable, path: Path) -> None:
    splits = [prepared.train, prepared.val, *([prepared.test] if prepared.test else [])]
    for rows in splits:
        assert len(rows) > 0
        assert np.isfinite(rows.inputs).all()
        assert np.isfinite(rows.target).all()
    document = json.loads(json.dumps(prepared.preparation.to_json(), allow_nan=False))
    raw = TablePreparation.from_json(document).inputs(path)
    divided = np.concatenate([rows.inputs for rows in splits])
    assert sorted(raw.tolist()) == sorted(divided.tolist())
    for at, codes in enumerate(prepared.preparation.categories, prepared.preparation.numbers):
        assert 0 <= raw[:, at].min() <= raw[:, at].max() < codes


def test_some_tables_of_these_cells_are_prepared(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = (f"{CELLS[1][i % 4]},{CELLS[2][i % 3]},{CELLS[0][i % 4]}" for i in range(60))
    path.write_text("\n".join(["c0,c1,c2", *rows, ""]))
    check(prepare_table(path, TableOptions(target="c2"), split_seed=0), path)
