from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.stock.lead_times import LeadTime


def test_a_number_is_certain() -> None:
    assert LeadTime.of(np.int64(3)) == LeadTime((3,), (1.0,))
    assert LeadTime.of(3.0).of_paths(4).tolist() == [3, 3, 3, 3]


def test_chances_and_samples() -> None:
    assert LeadTime.of({5: 3, 2: 1, 9: 0}) == LeadTime((2, 5), (0.25, 0.75))
    assert LeadTime.of([5, 2, 5, 5]) == LeadTime((2, 5), (0.25, 0.75))
    assert LeadTime.of([5, 2, 5, 5]).mean == 4.25


@pytest.mark.parametrize(("mean", "deviation"), [(5, 1.5), (2.4, 2), (30, 6), (0.5, 0.5)])
def test_a_mean_and_a_deviation_are_kept(mean: float, deviation: float) -> None:
    lead = LeadTime.of(mean, deviation)
    periods, chances = np.array(lead.periods), np.array(lead.chances)
    assert chances.sum() == pytest.approx(1)
    assert lead.mean == pytest.approx(mean, rel=0.01)
    # Whole periods add up to 1/4 to the variance, the cut at 0.5% takes some away.
    variance = chances @ (periods - lead.mean) ** 2
    assert deviation**2 * 0.85 < variance < deviation**2 + 0.25
    assert lead.longest < mean + 5 * deviation + 1


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(0, 40), st.floats(0.01, 10), min_size=1, max_size=6), st.integers(1, 700))
def test_paths_take_lead_times_as_often_as_their_chances_say(chances: dict[int, float], count: int) -> None:
    lead = LeadTime.of(chances)
    drawn = lead.of_paths(count)
    for periods, chance in zip(lead.periods, lead.chances, strict=True):
        assert (drawn == periods).mean() == pytest.approx(chance, abs=min(1.0, 8 / count))


@pytest.mark.parametrize(
    "bad", [-1, 1.5, True, "5", None, [], {}, [1, -2], {2: -1}, {2: float("nan")}, {1.5: 1}, 1e9]
)
def test_what_is_no_lead_time(bad: object) -> None:
    with pytest.raises(ValueError, match="Give"):
        LeadTime.of(bad)
    with pytest.raises(ValueError, match=r"mean|Give"):
        LeadTime.of(bad if bad != 1.5 else 0, 1.0)
