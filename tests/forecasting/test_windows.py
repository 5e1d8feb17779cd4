from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_shop import HORIZON, history_from, network_for, panel_of, shop

from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.history import VIEWS, History
from recurra.forecasting.metrics import weighted_quantile_loss
from recurra.forecasting.network import answer, remember
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING
from recurra.forecasting.views.view import Standing
from recurra.forecasting.windows import Batch, QuantileProblem, Windows, beyond, pinball
from recurra.state import flatten


@dataclass(frozen=True)
class Bare:
    """A view that shows and asks for nothing but what was sold."""

    read: NDArray[np.float32]

    def columns(self, rows: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.read[rows[:, None], time][..., None]

    def at(self, rows: NDArray[np.int64], origins: NDArray[np.int64], horizon: int) -> Standing:
        here = self.read[rows[:, None], origins]
        ahead = np.repeat(here[..., None, None], horizon, axis=2)
        return Standing(here[..., None], ahead, np.ones_like(here), np.zeros_like(here)[..., None])

    def weight(self, rows: NDArray[np.int64], origins: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.read[rows[:, None], origins] + 1


def labelled(series: int, periods: int, first: Any = None, until: Any = None) -> History:
    """A history whose values say where they stand: 1000 · series + period + 1."""
    values = 1000 * np.arange(series)[:, None] + np.arange(periods) + 1
    history = history_from(panel_of(values, first), until=until)
    return replace(history, view=Bare(history.values))  # type: ignore[arg-type]


def windows(history: History, **changes: Any) -> Windows:
    settings = {"batch_size": 3, "steps": 8, "origins": 8, "horizon": HORIZON, "strangers": 0.0, "seed": 0}
    settings["unknown"] = np.zeros(1, dtype=np.int64)
    return Windows(history, **(settings | changes))


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(getattr(a, each.name), getattr(b, each.name)) for each in fields(Batch))


@given(
    series=st.integers(1, 4),
    periods=st.integers(2, 40),
    steps=st.integers(1, 12),
    origins=st.integers(1, 12),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_batches_are_those_of_a_naive_construction(
    series: int, periods: int, steps: int, origins: int, seed: int, data: st.DataObject
) -> None:
    first = data.draw(st.lists(st.integers(0, periods - 1), min_size=series, max_size=series))
    held = data.draw(st.lists(st.booleans(), min_size=series, max_size=series))
    # The forecaster holds out only where three horizons are left before.
    until = [
        periods - HORIZON if h and f <= periods - 3 * HORIZON else periods
        for f, h in zip(first, held, strict=True)
    ]
    history = labelled(series, periods, first, until)
    source = windows(history, steps=steps, origins=origins, seed=seed)
    for _ in range(6):
        batch = source.next()
        assert batch.columns.shape[:2] == (3, steps)
        assert batch.target.shape == batch.known.shape == (3, min(origins, steps), HORIZON)
        assert len(set(batch.origins.tolist())) == min(origins, steps)
        for row in range(3):
            n, start = int(source.row[row]), int(source.position[row]) - steps
            assert batch.codes[row].tolist() == [n + 1]
            for t in range(start, start + steps):
                found = batch.columns[row, t - start]
                if t < periods:
                    begins = [0.0, float(t == first[n] - 1)]  # what nobody knows yet
                    assert np.array_equal(found, [history.values[n, t], *history.calendar[t], *begins])
                else:
                    assert not found.any()
            for k, place in enumerate(batch.origins.tolist()):
                origin = start + place
                sold = history.values[n, min(origin, periods - 1)]
                assert batch.place[row, k].tolist() == [sold]
                assert batch.weight[row, k] == sold + 1
                for h in range(HORIZON):
                    t = origin + 1 + h
                    began = max(first[n] - 1, 0)
                    assert bool(batch.known[row, k, h]) == (origin >= began and t < until[n])
                    if batch.known[row, k, h]:
                        assert float(batch.target[row, k, h]) == 1000 * n + t + 1
                        assert np.array_equal(batch.ahead[row, k, h], [*history.calendar[t], sold])


def test_every_series_and_period_is_learned() -> None:
    first, until = [0, 20, 0, 39], [40, 40, 35, 40]
    source = windows(labelled(4, 40, first, until))
    read, learned = set(), set()
    for _ in range(200):
        batch = source.next()
        read |= set(batch.columns[..., 0].flatten().tolist())
        learned |= set(batch.target[batch.known].tolist())
    # From the first period on all is read, up to what is learned; all is learned but the panel's very first period.
    assert learned == {1000 * n + t + 1.0 for n in range(4) for t in range(max(first[n], 1), until[n])}
    assert read >= {1000 * n + t + 1.0 for n in (0, 1, 2) for t in range(first[n], until[n] - 1)}


def test_the_held_out_horizon_is_no_target() -> None:
    history = labelled(3, 40, until=[35, 40, 35])
    history.values[[0, 2], 35:] = np.nan
    source = windows(history)
    for _ in range(60):
        batch = source.next()
        assert batch.target[batch.known].isfinite().all()


def test_rows_go_on_where_they_were_until_their_series_ends() -> None:
    source = windows(labelled(5, 50), batch_size=4)
    before = source.next()
    assert before.fresh.all()
    for _ in range(100):
        batch = source.next()
        for row in range(4):
            if not batch.fresh[row]:
                assert batch.columns[row, 0, 0] == before.columns[row, -1, 0] + 1
                assert batch.codes[row] == before.codes[row]
        before = batch


def test_each_round_takes_every_series_once() -> None:
    source = windows(labelled(7, 10), batch_size=1)
    begun = [int(batch.codes[0, 0]) for batch in (source.next() for _ in range(70)) if batch.fresh[0]]
    rounds = [sorted(begun[i : i + 7]) for i in range(0, len(begun) - 6, 7)]
    assert len(rounds) >= 3
    assert all(each == [1, 2, 3, 4, 5, 6, 7] for each in rounds)
    assert begun[:7] != begun[7:14]


@given(st.integers(0, 20), st.integers(0, 5))
@settings(max_examples=20)
def test_it_goes_on_exactly_where_it_was(taken: int, seed: int) -> None:
    history = history_from(shop())
    source = windows(history, strangers=0.5, seed=seed)
    for _ in range(taken):
        source.next()
    place = source.state_dict()
    later = windows(history, strangers=0.5, seed=seed + 1)
    following = [source.next() for _ in range(12)]
    later.load_state_dict(place)
    assert all(same(batch, later.next()) for batch in following)
    later.load_state_dict(place)  # and the place told is no view of what moved on
    assert all(same(batch, later.next()) for batch in following)


def test_the_seed_makes_the_batches() -> None:
    history = history_from(shop())
    one, again, other = windows(history), windows(history), windows(history, seed=1)
    batches = [one.next() for _ in range(8)]
    assert all(same(batch, again.next()) for batch in batches)
    assert not all(same(batch, other.next()) for batch in batches)


def test_strangers_are_read_as_unknown_items() -> None:
    history = labelled(4, 10)
    items = torch.cat([windows(history, strangers=0.3, seed=s).next().codes for s in range(200)])
    assert (items == 0).float().mean() == pytest.approx(0.3, abs=0.06)
    assert (windows(history, strangers=1.0).next().codes == 0).all()


def test_a_history_without_series_is_refused() -> None:
    history = labelled(1, 10)
    with pytest.raises(ValueError, match="no series"):
        windows(replace(history, first=history.first[:0], until=history.until[:0]))


# What is learned


def test_pinball() -> None:
    error = torch.tensor([[2.0, 2.0], [-3.0, -3.0], [0.0, 0.0]])
    found = pinball(error, torch.tensor([0.1, 0.9]))
    torch.testing.assert_close(found, torch.tensor([[0.2, 1.8], [2.7, 0.3], [0.0, 0.0]]))


@pytest.mark.parametrize("view", VIEWS)
def test_the_loss_is_that_of_plain_numpy(view: str) -> None:
    panel = shop()
    history, network = history_from(panel, view=view), network_for(panel, view=view)
    problem = QuantileProblem(history, HORIZON, torch.tensor(LEVELS), np.zeros(0, dtype=np.int64))
    source = windows(history, origins=3)
    for _ in range(9):  # until some targets lie beyond the end
        batch = source.next()
    assert batch.known.any()
    assert not batch.known.all()
    found, after = problem.loss(network, batch, network.initial_state(3))
    outputs, state = network.encode(batch.columns, batch.codes, network.initial_state(3))
    answers = network.head(outputs[:, batch.origins], batch.place, batch.ahead, batch.codes).detach().numpy()
    origins = np.minimum(source.position[:, None] - 8 + batch.origins.numpy(), panel.values.shape[1] - 1)
    standing = history.view.at(source.row, origins, HORIZON)
    weight = history.view.weight(source.row, origins).astype(np.float64)
    total, count = 0.0, 0
    for b, k, h in np.argwhere(batch.known.numpy()):
        y = panel.values[source.row[b], origins[b, k] + 1 + h].astype(np.float64)
        y = (y - standing.base[b, k, h if view == "trend" else 0]) / standing.unit[b, k]
        losses = []
        for q, tau in enumerate(LEVELS):
            e = y - float(answers[b, k, h, q])
            losses.append(tau * e if e >= 0 else (tau - 1) * e)
        total += np.mean(losses) * weight[b, k]
        count += 1
    assert float(found.detach()) == pytest.approx(total / count, rel=1e-5)
    for ours, theirs in zip(flatten(after).values(), flatten(state).values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_batch_without_a_target_has_no_loss() -> None:
    panel = shop()
    history, network = history_from(panel), network_for(panel)
    problem = QuantileProblem(history, HORIZON, torch.tensor(LEVELS), np.zeros(0, dtype=np.int64))
    batch = windows(history).next()
    nothing = replace(batch, known=torch.zeros_like(batch.known))
    loss, _ = problem.loss(network, nothing, network.initial_state(3))
    loss.backward()
    assert loss == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_the_evaluation_is_the_weighted_quantile_loss() -> None:
    panel = shop()
    history, network = history_from(panel), network_for(panel)
    rows = np.array([1, 4])
    problem = QuantileProblem(history, HORIZON, torch.tensor(LEVELS), rows)
    last = 70 - HORIZON - 1
    context = remember(network, history, rows, [last])[:, 0]
    standing = history.after(rows, last, HORIZON)
    given = map(torch.from_numpy, (standing.place, standing.ahead, history.codes[rows]))
    quantiles = standing.sold(answer(network, context, *given).numpy())
    expected = weighted_quantile_loss(panel.values[rows, -HORIZON:], quantiles, LEVELS)
    found = problem.evaluate(network)
    assert found == pytest.approx(expected, rel=1e-5)
    # It sees nothing of what it is scored on.
    changed = history_from(panel)
    changed.values[:, -HORIZON:] = np.nan
    assert torch.equal(remember(network, changed, rows, [last])[:, 0], context)
    assert QuantileProblem(history, HORIZON, torch.tensor(LEVELS), rows[:0]).evaluate(network) is None


def test_a_lower_bound_parts_its_value_over_what_it_may_be() -> None:
    """Portnoy's weights: the gradient of quantile τ is w - τ above the bound and -τ below it."""
    levels = torch.tensor([0.1, 0.5, 0.9])
    quantiles = torch.tensor([[1.0, 3.0, 5.0], [1.0, 3.0, 5.0], [1.0, 3.0, 5.0]], requires_grad=True)
    bound = torch.tensor([2.0, 0.5, 9.0])  # F = 0.3; nothing below; all but 0.1 below
    losses = beyond(bound, quantiles, levels)
    assert (losses >= 0).all()
    losses.sum().backward()
    shares = (levels - 0.3).clamp(min=0) / 0.7
    expected = torch.stack([torch.where(levels > 0.3, shares - levels, -levels), torch.zeros(3), -levels])
    torch.testing.assert_close(quantiles.grad, expected)


def test_a_batch_says_which_targets_are_lower_bounds_and_which_are_missing() -> None:
    panel = shop()
    status = np.random.default_rng(0).choice([0, 1, 2], panel.values.shape).astype(np.uint8)
    history = history_from(replace(panel, status=status))
    source = windows(history)
    for _ in range(5):
        batch = source.next()
        starts = source.position - 8
        for b, k, h in np.argwhere(batch.known.numpy()):
            said = status[source.row[b], starts[b] + int(batch.origins[k]) + 1 + h]
            assert said != MISSING
            assert bool(batch.at_least[b, k, h]) == (said == AT_LEAST)
