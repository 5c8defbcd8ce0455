"""Numbers of a size that what they measure has, lists that belong together, and values that only a definition tells."""

from __future__ import annotations

from auto_lora.dialogues.values import Sampler


def _made(name, kind, description, count=200, tool="", **more):
    sampler = Sampler(1, "train")
    sampler.tool_words = tool
    schema = {"type": kind, "description": description, **more}
    return [sampler.sample(name, schema) for _ in range(count)]


def _numbers(*args, **more):
    return [v.json for v in _made(*args, **more)]


def test_a_person_is_as_tall_as_people_are():
    metres = _numbers("height", "number", "Height of the person in meters, e.g. 1.75")
    assert all(1.45 <= n <= 2.05 for n in metres) and len(set(metres)) > 20
    assert all(
        145 <= n <= 205 for n in _numbers("height_cm", "integer", "Height in cm", tool="Compute the BMI.")
    )
    assert max(_numbers("height", "number", "Height of the cylinder in cm")) > 30


def test_what_is_measured_is_as_large_as_such_things_are():
    assert all(1 <= n <= 60 for n in _numbers("initial_velocity", "number", "The initial velocity in m/s"))
    assert all(0.5 <= n <= 15 for n in _numbers("acceleration", "number", "The acceleration in m/s^2"))
    assert all(0 < n <= 10 for n in _numbers("charge1", "number", "First charge in coulombs"))
    assert all(n < 100 for n in _numbers("radius", "number", "Radius of the base in cm"))


def test_sums_of_finance_are_round():
    gains = _made("long_term_gain", "number", "Long-term capital gain", tool="Calculate the tax owed.")
    assert all(500 <= v.json <= 200_000 and v.json % 100 == 0 for v in gains)
    assert sum("$" in v.surface for v in gains) > 20
    assert all(25 <= n <= 1000 for n in _numbers("extra_payment", "number", "Extra amount paid each month"))
    assert max(_numbers("gain", "number", "Gain of the amplifier", tool="Amplify a signal.")) < 10_000


def test_what_is_limited_is_not_counted():
    for name, about, low, high in (
        ("max_calories", "Maximum calories per serving", 200, 900),
        ("max_tokens", "Maximum number of tokens", 100, 4000),
        ("max_words", "Longest summary", 50, 500),
    ):
        made = _made(name, "integer", about)
        assert all(low <= v.json <= high for v in made)
        assert any(v.surface.endswith(name.partition("_")[2]) for v in made)
    assert all(n <= 10 for n in _numbers("max_results", "integer", "Most results to return"))
    for about in ("Number of decimal places to round to. Default is 2", "Decimals. Default is 4"):
        places = _numbers("precision", "integer", about)
        assert all(0 <= n <= 6 for n in places) and len(set(places)) > 4
