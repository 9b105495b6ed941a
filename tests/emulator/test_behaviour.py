"""What can be set: wrong settings are named, and the seed decides the rest."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async.emulator import (
    FAULTS,
    Behaviour,
    Duration,
    Fault,
    Fixed,
    LogNormal,
    Mixture,
    Uniform,
    draws,
)
from declutter_async.emulator.faults import CALLS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "Behaviour: seed must be a whole number of at least 0, not -1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"duration": "long"}, "duration must be a number of seconds or a distribution"),
        ({"duration": -1}, "Fixed: seconds must be a number of at least 0, not -1"),
        ({"speed": 0}, "speed must be a number above 0, not 0"),
        ({"speed": float("inf")}, "speed must be a number above 0"),
        ({"speed": True}, "speed must be a number above 0, not True"),
        ({"failure_rate": 1.1}, "failure_rate must be a number of at least 0 and of at most 1"),
        ({"photos": -1}, "photos must be a whole number"),
        ({"photos": True}, "photos must be a whole number"),
        ({"requests_per_second": 0}, "requests_per_second must be a number above 0 or None"),
        ({"webhooks": "sometimes"}, "webhooks must be one of on, late, twice, never"),
        ({"result_lifetime": float("nan")}, "result_lifetime must be a number above 0 or None"),
        ({"keepalive": -1}, "keepalive must be a number of at least 0"),
        ({"faults": ["reset"]}, "faults must be Fault objects"),
        (
            {"faults": [Fault("reset", 0.6), Fault("half", 0.6, on="get")]},
            "the rates of the faults on 'get' add up to 1.2",
        ),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Behaviour(**settings)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("meteor", 0.1), {}, "no fault 'meteor'; there are refused, stale"),
        (("reset", 2), {}, "rate must be a number"),
        (("expired", 0.1), {"on": {"get"}}, "'expired' can strike result, not get"),
        (("reset", 0.1), {"on": ()}, "can strike generate, .*, not nothing"),
        (("rate_limited", 0.1), {"when": "after"}, "'rate_limited' can strike before, not 'after'"),
        (("refused", 0.1), {"when": "after"}, "can strike before"),
        (("reset", 0.1), {"when": "later"}, "can strike before or after, not 'later'"),
    ],
)
def test_a_wrong_fault_is_named(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(*arguments, **options)


def test_a_fault_strikes_the_three_calls_unless_told_otherwise() -> None:
    assert Fault("reset", 0.1).on == {"generate", "generate-variation", "get"}
    assert Fault("expired", 0.1).on == {"result"}
    assert Fault("reset", 0.1, on="result").on == {"result"}
    assert Behaviour(faults=Fault("reset", 0.1)).faults == (Fault("reset", 0.1),)
    for kind in FAULTS.values():
        assert kind.text
        assert kind.calls <= CALLS


def test_a_number_is_a_fixed_duration() -> None:
    assert Behaviour(duration=3).duration == Fixed(3)
    assert Behaviour().duration == LogNormal(90, 0.35)


@given(
    seed=st.integers(0, 2**32),
    low=st.floats(0, 100),
    more=st.floats(0, 100),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_durations_stay_within_their_distribution(seed: int, low: float, more: float, share: float) -> None:
    random = Random(seed)
    assert low <= Uniform(low, low + more).draw(random) <= low + more
    assert LogNormal(low + 1, 0).draw(random) == pytest.approx(low + 1)
    assert LogNormal(low + 1, 1).draw(random) > 0
    either = Mixture(Fixed(1), Fixed(2), other_share=share).draw(random)
    assert either in {0.0: {1}, 0.5: {1, 2}, 1.0: {2}}[share]


def test_half_of_the_lognormal_is_below_its_median_and_a_mixture_has_its_share() -> None:
    random = Random(1)
    below = sum(LogNormal(90, 0.35).draw(random) < 90 for _ in range(4000))
    other = sum(Mixture(Fixed(1), Fixed(2), 0.2).draw(random) == 2 for _ in range(4000))
    assert below == pytest.approx(2000, abs=150)
    assert other == pytest.approx(800, abs=120)


def test_uniform_refuses_bounds_that_are_swapped() -> None:
    with pytest.raises(ValueError, match=r"low \(2\) is above high \(1\)"):
        Uniform(2, 1)


def test_a_distribution_of_ones_own_is_taken() -> None:
    class Alternating:
        def draw(self, random: Random, /) -> float:
            return -5.0 if random.random() < 0.5 else 5.0

    own: Duration = Alternating()
    drawn = {draws.fate(Behaviour(duration=own), f"/{number}", 0).duration for number in range(50)}
    assert drawn == {0.0, 5.0}  # a negative one counts as 0


def test_a_seed_means_the_same_in_every_release() -> None:
    fate = draws.fate(Behaviour(seed=7), "/rooms/7/cluttered.jpg", 0)
    assert draws.credentials(7).user_id == "67303e7b-3191-43a9-a043-40b372e5845a"
    assert fate.generation_id == "dca98a35-4344-4112-aca9-9af979663dd1"
    assert fate.duration == pytest.approx(66.01927643955266)


def test_fates_differ_by_seed_photo_and_times_and_do_not_hang_together() -> None:
    behaviour = Behaviour(failure_rate=0.5)
    fates = {draws.fate(behaviour, f"/{photo}", times) for photo in range(20) for times in range(3)}
    assert len({fate.generation_id for fate in fates}) == len(fates) == 60
    assert draws.fate(behaviour, "/1", 0) == draws.fate(behaviour, "/1", 0)
    assert draws.fate(behaviour, "/1", 0) != draws.fate(Behaviour(seed=1, failure_rate=0.5), "/1", 0)
    # What is set otherwise does not change the ids.
    other = draws.fate(Behaviour(failure_rate=1, duration=1), "/1", 0)
    assert other.generation_id == draws.fate(behaviour, "/1", 0).generation_id
    assert other.fails


def test_a_photo_is_known_by_path_and_query() -> None:
    assert draws.photo_key("http://127.0.0.1:5/a.jpg?n=1#x") == draws.photo_key(
        "http://localhost:9/a.jpg?n=1"
    )
    assert draws.photo_key("http://h/a.jpg?n=1") != draws.photo_key("http://h/a.jpg?n=2")


def test_faults_strike_at_their_rates_and_by_the_ordinal_alone() -> None:
    often, seldom = Fault("reset", 0.3, on="get"), Fault("half", 0.1, when="after", on={"get", "result"})
    behaviour = Behaviour(faults=[often, seldom])
    drawn = [draws.fault(behaviour, "get", ordinal) for ordinal in range(4000)]
    assert drawn.count(often) == pytest.approx(1200, abs=150)
    assert drawn.count(seldom) == pytest.approx(400, abs=100)
    assert drawn == [draws.fault(behaviour, "get", ordinal) for ordinal in range(4000)]
    assert draws.fault(behaviour, "generate", 1) is None
    certain = Behaviour(faults=[Fault("reset", 0.7), Fault("half", 0.3)])
    assert all(draws.fault(certain, "get", ordinal) for ordinal in range(200))


def test_secrets_do_not_show() -> None:
    secrets = draws.credentials(3)
    assert secrets.api_key not in repr(secrets)
    assert draws.credentials(3) == secrets != draws.credentials(4)
