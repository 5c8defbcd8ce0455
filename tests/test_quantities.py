"""Numbers of the size and in the unit that a definition asks for, in the words that people use."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from auto_lora.dialogues.values.quantities import _described_range
from auto_lora.dialogues.values.sampler import Sampler

_SAMPLER = Sampler(1, "train")


def _made(name, kind, description, count=300, **limits):
    schema = {"type": kind, "description": description, **limits}
    return [_SAMPLER.sample(name, schema) for _ in range(count)]


def test_a_longer_unit_is_counted_in_the_one_that_the_tool_takes():
    said = {v.surface: v.json for v in _made("time", "integer", "Time to wait, in seconds.")}
    assert said["a minute"] == 60 and said["half an hour"] == 1800
    for surface, value in said.items():
        if found := re.fullmatch(r"(\d+) (second|minute)s", surface):
            assert value == int(found[1]) * {"second": 1, "minute": 60}[found[2]]
    assert {v.surface: v.json for v in _made("term", "integer", "Loan term in months.")}["a year"] == 12
    assert all(v.json <= 30 for v in _made("minutes", "integer", "Minutes.", maximum=30))


def test_limits_that_only_the_description_names_are_kept():
    assert all(18 <= v.json <= 30 for v in _made("temp", "integer", "In degrees Celsius. Valid values range from 18 to 30."))  # fmt: skip
    assert all(1 <= v.json <= 5 for v in _made("rating", "integer", "Rating (1-5)"))
    assert all(0 <= v.json <= 1 for v in _made("discount", "number", "Discount rate between 0 and 1"))
    for about in ("Number of pages", "Such as 5 or 10", "Version 2-1", "In the 3 to 4 last weeks"):
        assert _described_range(about) == {}


@given(st.integers(-50, 50), st.integers(1, 500))
def test_limits_are_read_from_any_such_sentence(low, width):
    limits = {"minimum": low, "maximum": low + width}
    assert _described_range(f"Values range from {low} to {low + width}.") == limits
    assert _described_range(f"A level between {low} and {low + width}") == limits


def test_a_share_of_one_is_said_in_percent_too():
    made = {v.surface: v.json for v in _made("interest_rate", "number", "Annual rate as a decimal")}
    assert all(0 < value < 1 for value in made.values())
    assert any(s.endswith("%") and abs(float(s[:-1]) / 100 - value) < 1e-9 for s, value in made.items())


def test_a_temperature_may_be_said_on_the_other_scale_where_it_comes_out_even():
    made = {v.surface: v.json for v in _made("temp", "integer", "Target in Celsius", 800)}
    other = {s: value for s, value in made.items() if "fahrenheit" in s}
    assert other and all(int(s.split()[0]) == value * 9 / 5 + 32 for s, value in other.items())
    assert all(v.json >= 50 for v in _made("temp", "integer", "Target in Fahrenheit"))


def test_parts_of_a_second_where_a_definition_counts_in_them():
    small = _made("window", "number", "Length of the window in seconds (e.g., 0.5).")
    parts = [v for v in small if not float(v.json).is_integer()]
    assert len(parts) > 100 and all(f"{v.json:g} second" in v.surface for v in parts)
    whole = _made("window", "integer", "Length of the window in seconds (e.g., 0.5).")
    assert all(isinstance(v.json, int) for v in whole)


def test_the_ends_of_a_scale_have_names():
    volume = {"type": "integer", "minimum": 0, "maximum": 30, "description": "Volume"}
    drawn = [Sampler(seed, "train").sample("volume", volume) for seed in range(400)]
    named = {v.surface: v.json for v in drawn if not re.search(r"\d", v.surface) and v.json in (0, 30)}
    assert named["max"] == named["full"] == 30 and named["minimum"] == 0
    assert "half" not in {v.surface for v in drawn}  # 15 of 30, but "half" of 1 to 10?
    told = {"type": "integer", "description": "Brightness, from 0 to 100"}
    drawn = [Sampler(seed, "train").sample("brightness", told) for seed in range(400)]
    assert {v.json for v in drawn if v.surface == "half"} == {50}
    open_ended = [Sampler(seed, "train").sample("volume", {"type": "integer"}) for seed in range(200)]
    assert all(v.surface not in ("max", "full", "maximum") for v in open_ended)
