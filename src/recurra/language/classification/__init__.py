"""Texts to labels: a bidirectional network over words and their letters, its figures, its reasons, its report."""

from __future__ import annotations

from recurra.language.classification.classifier import TextClassifier
from recurra.language.classification.evaluation import Evaluation
from recurra.language.classification.explanation import Explanation

__all__ = ["Evaluation", "Explanation", "TextClassifier"]
