"""A temperature makes probabilities honest, and changes no best sequence."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.decoding import Chain
from recurra.language.tagging.calibration import cooled, temperature_of


def drawn(temperature: float) -> tuple[Chain, np.ndarray, np.ndarray]:
    """A chain and scores that are too sure of themselves by `temperature`, and tags drawn from the honest ones."""
    generator = np.random.default_rng(0)
    honest = Chain(generator.normal(size=(3, 3)), generator.normal(size=3), generator.normal(size=3))
    scores = 2 * generator.normal(size=(400, 1, 3))  # of one word, so that tags can be drawn one by one
    chances = honest.marginals(scores)[:, 0]
    tags = np.array([generator.choice(3, p=row) for row in chances])
    return cooled(honest, 1 / temperature), scores * temperature, tags


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    chain, scores, tags = drawn(temperature)

    def probabilities(t: float) -> list[np.ndarray]:
        return list(cooled(chain, t).marginals(scores / t))

    found = temperature_of(probabilities, [np.array([tag]) for tag in tags])
    assert found == pytest.approx(temperature, rel=0.2)
    losses = [
        -np.log(np.concatenate(probabilities(t))[np.arange(len(tags)), tags]).mean()
        for t in (found / 1.3, found, found * 1.3)
    ]
    assert losses[1] == min(losses)


def test_without_known_tags_it_is_one() -> None:
    assert temperature_of(lambda _: [], []) == 1.0
    assert temperature_of(lambda _: [np.ones((1, 2))], [np.array([-1])]) == 1.0


def test_no_best_sequence_changes() -> None:
    generator = np.random.default_rng(1)
    chain = Chain(generator.normal(size=(4, 4)), generator.normal(size=4), generator.normal(size=4))
    scores = generator.normal(size=(5, 9, 4))
    for t in (0.3, 4.0):
        np.testing.assert_array_equal(cooled(chain, t).best(scores / t), chain.best(scores))
