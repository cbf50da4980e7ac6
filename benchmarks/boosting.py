"""scikit-learn's gradient boosting on a CSV file, as it comes: what tables are measured against."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.preprocessing import OrdinalEncoder


def boosted(train: Path, test: Path, *, numbers: bool, seed: int) -> list[Any]:
    """Its answers to the test rows; the last column is the target, a number if `numbers`.

    Missing values stay missing, and columns with texts are categories: it handles both itself.
    """
    inputs, targets = _read(train)
    others, _ = _read(test)
    texts = [not all(map(_is_number, column)) for column in zip(*inputs, strict=True)]
    columns, other_columns = [], []
    for values, other, text in zip(
        zip(*inputs, strict=True), zip(*others, strict=True), texts, strict=True
    ):
        first, second = _coded(values, other) if text else (_floats(values), _floats(other))
        columns.append(first)
        other_columns.append(second)
    build = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
    machine = build(categorical_features=texts, random_state=seed)
    machine.fit(np.column_stack(columns), np.asarray(targets, float if numbers else str))
    answers: list[Any] = machine.predict(np.column_stack(other_columns)).tolist()
    return answers


def _read(path: Path) -> tuple[list[list[str]], list[str]]:
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)
    return [row[:-1] for row in rows], [row[-1] for row in rows]


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _floats(cells: tuple[str, ...]) -> np.ndarray[Any, Any]:
    return np.array([float(cell or "nan") for cell in cells])


def _coded(cells: tuple[str, ...], others: tuple[str, ...]) -> tuple[Any, Any]:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    known = [[cell or None] for cell in cells]
    coded = encoder.fit_transform(np.array(known, object))
    return coded[:, 0], encoder.transform(np.array([[c or None] for c in others], object))[:, 0]
