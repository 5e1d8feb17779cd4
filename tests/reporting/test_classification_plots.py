"""Pictures of a classifier's answers."""

from __future__ import annotations

import numpy as np

from recurra.reporting import plots


def test_a_grid_of_what_is_taken_for_what() -> None:
    svg = plots.confusion(["a", "b"], np.array([[7, 0], [3, 1_234]]))
    assert svg.startswith("<svg")
    for text in (">a<", ">b<", ">7<", ">3<", ">1,234<", ">said<", ">true<"):
        assert text in svg
    assert ">0<" not in svg
    many = plots.confusion([f"label {n} {'x' * 40}" for n in range(30)], np.eye(30, dtype=np.int64))
    assert "label 7 xxxxxxxxxxxxxxx…" in many
    assert ">1<" not in many


def test_an_empty_row_is_left_empty() -> None:
    assert "nan" not in plots.confusion(["a", "b"], np.array([[0, 0], [0, 0]]))


def test_said_beside_right() -> None:
    svg = plots.reliability(np.array([0.5, 0.9]), np.array([0.4, 0.95]), np.array([1, 99]))
    assert ">probability said<" in svg
    assert svg == plots.reliability(np.array([0.5, 0.9]), np.array([0.4, 0.95]), np.array([1, 99]))
