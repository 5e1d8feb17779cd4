from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.dependence import normal_scores
from recurra.forecasting.distribution import Copula, Quantiles, normal_cdf, seed_of
from recurra.forecasting.forecast import LEVELS

TAUS = np.array(LEVELS)


def quantiles(*rows: list[float], floor: float = -math.inf) -> Quantiles:
    return Quantiles(TAUS, np.array(rows, dtype=np.float64), floor)


def integral(q: Quantiles) -> np.ndarray:
    """The mean as the average of `at` over a fine grid of probabilities."""
    u = (np.arange(200_000) + 0.5) / 200_000
    return q.at(np.broadcast_to(u, (*q.values.shape[:-1], u.size))).mean(-1)


# Rising rows with ties and zeros, in float32 as a network gives them, over many orders of magnitude.
STEPS = st.one_of(st.just(0.0), st.floats(1e-3, 1e6), st.integers(0, 3).map(float))
ROWS = st.builds(
    lambda start, steps: np.cumsum([start, *steps]).astype(np.float32).astype(np.float64).tolist(),
    st.one_of(st.just(0.0), st.floats(0, 100)),
    st.lists(STEPS, min_size=len(LEVELS) - 1, max_size=len(LEVELS) - 1),
)
ANY_ROWS = st.tuples(ROWS, st.floats(-1e6, 0)).map(lambda pair: [value + pair[1] for value in pair[0]])


@given(ANY_ROWS)
def test_it_goes_through_the_given_quantiles(row: list[float]) -> None:
    q = quantiles(row)
    np.testing.assert_allclose(q.at(TAUS[None]), q.values, rtol=1e-12, atol=1e-9)


@given(ANY_ROWS, st.lists(st.floats(0, 1), min_size=2, max_size=30), st.booleans())
def test_it_never_falls_and_keeps_its_floor(
    row: list[float], probabilities: list[float], at_zero: bool
) -> None:
    floor = 0.0 if at_zero else -math.inf
    q = quantiles(np.maximum(row, floor).tolist(), floor=floor)
    found = q.at(np.sort(np.concatenate([probabilities, LEVELS]))[None])
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    assert found.min() >= floor


def test_between_levels_it_is_a_line_and_beyond_them_an_exponential_tail() -> None:
    q = Quantiles(np.array([0.1, 0.5, 0.9, 0.99]), np.array([[0.0, 4.0, 8.0, 11.0]]))
    np.testing.assert_allclose(q.at(np.array([[0.3, 0.7]])), [[2.0, 6.0]])
    # From 0.9 to 0.99 a tenth of what lies beyond is left, and the quantile rises by 3: so does it at 0.999.
    np.testing.assert_allclose(q.at(np.array([[0.999, 0.9999]])), [[14.0, 17.0]])
    np.testing.assert_allclose(q.at(np.array([[0.02]])), [[-4.0]])  # a fifth is left, as from 0.5 to 0.1


@settings(max_examples=40)
@given(ROWS, st.booleans())
def test_the_mean_is_the_integral(row: list[float], at_zero: bool) -> None:
    q = quantiles(row, floor=0.0 if at_zero else -math.inf)
    size = np.abs(q.values).max() + q.values.max() - q.values.min()
    np.testing.assert_allclose(q.mean(), integral(q), atol=1e-4 * size + 1e-12)


def test_the_mean_ends_at_the_floor() -> None:
    row = np.linspace(0.1, 20, len(LEVELS)).tolist()
    bound, free = quantiles(row, floor=0.0), quantiles(row)
    assert bound.mean() > free.mean()
    np.testing.assert_allclose(bound.mean(), integral(bound), rtol=1e-5)


def test_the_means_of_known_distributions() -> None:
    normal = [NormalDist(20, 3).inv_cdf(level) for level in LEVELS]
    exponential = [-5 * math.log(1 - level) for level in LEVELS]
    counts = np.sort(np.random.default_rng(0).poisson(3, 100_000))
    poisson = [float(counts[int(level * len(counts))]) for level in LEVELS]
    found = quantiles(normal, exponential, poisson, floor=0.0).mean()
    # Straight lines between quantiles lie above the curve of the exponential's: 1.7 % here.
    np.testing.assert_allclose(found[:2], [20, 5], rtol=0.02)
    # The staircase of a count is read as a slope, so its mean is off by up to half a step.
    assert found[2] == pytest.approx(3, abs=0.5)
    assert quantiles([0.0] * len(LEVELS), floor=0.0).mean() == [0.0]


@given(ROWS, st.floats(1e-4, 1 - 1e-4), st.booleans())
def test_probability_undoes_at(row: list[float], u: float, at_zero: bool) -> None:
    q = quantiles(row, floor=0.0 if at_zero else -math.inf)
    y = q.at(np.array([[u]]))[:, 0]
    size = np.abs(q.values).max() + 1e-3
    # At most y has the probability u or, at a jump, more; and there is no more to be had below y.
    assert q.probability(y + 1e-9 * size)[0] >= u - 1e-6
    assert q.probability(y - 1e-9 * size)[0] <= u + 1e-6
    again = q.at(q.probability(y)[:, None])[:, 0]
    np.testing.assert_allclose(again, y, atol=1e-6 * size)


def test_spreading_moves_both_sides_about_the_middle() -> None:
    found = Quantiles(np.array([0.1, 0.5, 0.9]), np.array([[1.0, 4.0, 10.0], [0.0, 0.0, 3.0]]), 0.0)
    np.testing.assert_allclose(found.spread(2.0, 0.5).values, [[0.0, 4.0, 7.0], [0.0, 0.0, 1.5]])
    np.testing.assert_array_equal(found.spread(1.0, 1.0).values, found.values)


@given(ROWS, st.lists(st.floats(-1e6, 1e8), min_size=2, max_size=20))
def test_probability_lies_in_0_1_and_never_falls(row: list[float], values: list[float]) -> None:
    q = quantiles(*[row] * len(values), floor=0.0)
    found = q.probability(np.sort(values))
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (np.diff(found) >= 0).all()
    assert (found[np.sort(values) < 0] == 0).all()


def test_at_a_jump_the_probability_is_its_upper_end() -> None:
    row = [0.0] * 5 + [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    y = np.array([-1e-9, 0.0, 1.0, 6.0])
    np.testing.assert_allclose(quantiles(*[row] * 4, floor=0.0).probability(y), [0, 0.3, 0.6, 0.99])
    sure = quantiles(*[[7.0] * len(LEVELS)] * 3)
    np.testing.assert_array_equal(sure.probability(np.array([6.99, 7.0, 7.01])), [0, 1, 1])


def test_normal_scores_undo_the_normal_distribution() -> None:
    u = np.linspace(0.001, 0.999, 99).reshape(3, 33)
    np.testing.assert_allclose(normal_cdf(normal_scores(u)), u, atol=1e-12)
    np.testing.assert_allclose(normal_scores(u)[0, 0], NormalDist().inv_cdf(0.001))


# The copula


def correlated(
    correlation: np.ndarray, windows: int, series: int, shared: float, seed: int = 0
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    horizon = len(correlation)
    common = rng.standard_normal((windows, 1, horizon))
    own = rng.standard_normal((windows, series, horizon))
    mixed = math.sqrt(shared) * common + math.sqrt(1 - shared) * own
    return np.asarray(mixed @ np.linalg.cholesky(correlation).T)


def ar1(rho: float, horizon: int) -> np.ndarray:
    steps = np.arange(horizon)
    return np.asarray(rho ** np.abs(steps[:, None] - steps), dtype=np.float64)


EQUAL = 0.4 + 0.6 * np.eye(6)


@pytest.mark.parametrize(
    "correlation", [ar1(0.7, 6), ar1(-0.5, 6), EQUAL, np.eye(6)], ids=["0.7", "-0.5", "=", "0"]
)
def test_the_correlation_of_periods_is_found_again(correlation: np.ndarray) -> None:
    copula = Copula.fit(correlated(correlation, windows=40, series=250, shared=0.0))
    np.testing.assert_allclose(copula.root @ copula.root.T, correlation, atol=0.05)
    assert copula.shared == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("shared", [0.2, 0.6])
def test_the_correlation_of_series_is_found_again(shared: float) -> None:
    z = correlated(ar1(0.3, 4), windows=400, series=20, shared=shared)
    assert Copula.fit(z).shared == pytest.approx(shared, abs=0.06)
    holes = np.random.default_rng(1).random(z.shape) < 0.3
    assert Copula.fit(np.where(holes, np.nan, z)).shared == pytest.approx(shared, abs=0.06)


def test_series_that_move_against_each_other_share_nothing() -> None:
    z = np.random.default_rng(0).standard_normal((50, 1, 3))
    assert Copula.fit(np.concatenate([z, -z], axis=1)).shared == 0.0


SCORES = st.one_of(st.just(math.nan), st.just(math.inf), st.just(0.0), st.floats(-1e6, 1e6), st.floats(-3, 3))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.data())
def test_the_root_is_that_of_a_correlation_matrix(
    windows: int, series: int, horizon: int, data: st.DataObject
) -> None:
    size = windows * series * horizon
    z = np.array(data.draw(st.lists(SCORES, min_size=size, max_size=size))).reshape(windows, series, horizon)
    copula = Copula.fit(z)
    assert copula.root.shape == (horizon, horizon)
    assert (np.triu(copula.root, 1) == 0).all()
    assert (np.diag(copula.root) > 0).all()
    np.testing.assert_allclose((copula.root**2).sum(1), 1)
    assert 0 <= copula.shared < 1


def test_draws_have_the_correlations_that_were_asked() -> None:
    copula = Copula(np.linalg.cholesky(ar1(0.6, 3)), 0.5)
    z = copula.draw(["a", "b"], 40_000, seed=1)
    assert z.shape == (2, 40_000, 3)
    between_periods = np.corrcoef(z[0].T)
    np.testing.assert_allclose(between_periods, ar1(0.6, 3), atol=0.02)
    for period in range(3):
        assert np.corrcoef(z[0, :, period], z[1, :, period])[0, 1] == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(z.mean(1), 0, atol=0.03)
    np.testing.assert_allclose(z.std(1), 1, atol=0.02)


def test_draws_belong_to_a_name_and_a_seed() -> None:
    copula = Copula(np.linalg.cholesky(ar1(0.6, 3)), 0.5)
    z = copula.draw(["a", "b", "c"], 7, seed=1)
    np.testing.assert_array_equal(copula.draw(["a", "b", "c"], 7, seed=1), z)
    np.testing.assert_allclose(copula.draw(["c", "x"], 7, seed=1)[0], z[2], rtol=1e-12)
    np.testing.assert_allclose(copula.draw(["c"], 3, seed=1)[0], z[2, :3], rtol=1e-12)
    assert not np.isclose(copula.draw(["a"], 7, seed=2)[0], z[0]).any()
    assert seed_of("a") != seed_of("b")


def test_one_series_and_one_period() -> None:
    copula = Copula.independent(1)
    assert copula.draw(["only"], 4, seed=0).shape == (1, 4, 1)
    z = np.random.default_rng(0).standard_normal((3, 1, 1))
    assert Copula.fit(z).root.tolist() == [[1.0]]
    assert Copula.fit(z).shared == 0.0
    assert Copula.fit(np.full((2, 1, 1), np.nan)).root.tolist() == [[1.0]]
