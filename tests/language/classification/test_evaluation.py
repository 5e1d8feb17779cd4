"""Figures of answers beside the truth, and the temperature, against scikit-learn and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from recurra.language.classification.evaluation import Evaluation, log_losses, temperature_of


def drawn(seed: int, n: int = 300, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = 2 * generator.standard_normal((n, k))
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    truth = np.array([generator.choice(k, p=row) for row in p])
    return scores, truth


def softmax(scores: np.ndarray) -> np.ndarray:
    p = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(p / p.sum(1, keepdims=True))


def test_the_figures_are_scikit_learn_s() -> None:
    scores, truth = drawn(0)
    found = Evaluation(tuple("abcd"), ("text",) * 300, truth, softmax(scores))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(truth, found.answers))
    figures = precision_recall_fscore_support(truth, found.answers)
    for place, (precision, recall, f1, texts) in enumerate(zip(*figures, strict=True)):
        assert found.per_class[place] == pytest.approx(("abcd"[place], precision, recall, f1, texts))
    assert found.macro_f1 == pytest.approx(np.mean(figures[2]))
    assert found.log_loss == pytest.approx(log_loss(truth, softmax(scores)))
    assert found.log_loss == pytest.approx(log_losses(scores, truth).mean())
    json.dumps(found.as_dict())


def test_unknown_labels_count_as_wrong() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = Evaluation(("a", "b"), ("x", "y", "z"), np.array([0, -1, 1]), p)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.confusion.tolist() == [[1, 0], [1, 0]]
    assert found.worst(5) == [1, 2]
    assert found.per_class[1].precision == 0
    alone = Evaluation(("a", "b"), ("y",), np.array([-1]), p[1:2])
    assert (alone.log_loss, alone.macro_f1) == (None, 0.0)


def test_calibration_by_hand() -> None:
    p = np.array([[0.95, 0.05]] * 4 + [[0.65, 0.35]] * 2)
    found = Evaluation(("a", "b"), ("t",) * 6, np.array([0, 0, 0, 1, 0, 1]), p)
    said, right, counts = found.reliability
    np.testing.assert_allclose(said, [0.65, 0.95])
    assert (right.tolist(), counts.tolist()) == ([0.5, 0.75], [2, 4])
    assert found.calibration_error == pytest.approx((2 * 0.15 + 4 * 0.2) / 6)


@settings(max_examples=15)
@given(st.floats(0.2, 5), st.integers(0, 10**6))
def test_the_temperature_is_found(temperature: float, seed: int) -> None:
    scores, truth = drawn(seed, n=3000)
    assert temperature_of(scores * temperature, truth) == pytest.approx(temperature, rel=0.2)


def test_few_texts_make_nothing_sure() -> None:
    scores = np.array([[4.0, 0.0], [0.0, 4.0], [5.0, 0.0]])
    assert 0.5 < temperature_of(scores, np.array([0, 1, 0])) <= 1.05
    assert temperature_of(np.zeros((0, 2)), np.zeros(0, np.int64)) == 1
