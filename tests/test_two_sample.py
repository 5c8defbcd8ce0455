"""The writer's distance from people: told apart where they differ, not where they are one."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.two_sample import shipped_prompts, writer_distance

ROOMS = [f"room{i}" for i in range(60)]


def prompts(form, seed, count=60):
    rng = random.Random(seed)
    return [form.format(rng.choice(ROOMS), rng.choice(ROOMS), i) for i in range(count)]


def test_different_forms_are_told_apart():
    told = writer_distance(prompts("switch {} on please {} {}", 1), prompts("lights {} now {} {}", 2))
    assert told["share"] == 1.0 and told["of"] == 120


def test_one_writer_is_not_told_from_itself(demo_tools):
    """Of 400 texts a coin tells 240 right once in 30,000 times."""
    made = [
        c.prompt
        for seed in (1, 2)
        for c in SyntheticDataGenerator(demo_tools, TrainingConfig(seed=seed)).generate(200, "train")
    ]
    random.Random(0).shuffle(made)
    told = writer_distance(made[::2], made[1::2])
    assert told["of"] > 380 and told["share"] < 0.6


def test_case_and_punctuation_do_not_give_a_writer_away():
    plain = prompts("light {} {} {}", 1)
    told = writer_distance([p.upper() + "!" for p in plain], plain)
    assert told["share"] == pytest.approx(0.5, abs=0.15)


def test_the_larger_side_does_not_lean_the_verdict():
    told = writer_distance(prompts("light {} {} {}", 1, 600), prompts("light {} {} {}", 2, 40))
    assert told["of"] == 80 and told["low"] <= 0.5


def test_word_order_counts():
    told = writer_distance(prompts("on {} {} {} off", 1), prompts("off {} {} {} on", 2))
    assert told["share"] > 0.9


def test_too_few_different_texts_say_nothing():
    assert writer_distance(["hi"] * 50, prompts("light {} {} {}", 1)) is None
    assert writer_distance([], []) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=12, max_size=40, unique=True), st.integers(0, 99))
def test_any_texts_give_a_share_that_does_not_depend_on_their_order(texts, seed):
    other = [f"{t} x" for t in texts]
    told = writer_distance(texts, other, seed)
    assert 0 <= told["count"] <= told["of"] == 2 * len(texts)
    assert told == writer_distance(texts[::-1], other[::-1], seed)


def test_shipped_prompts_are_those_of_the_belt_with_the_same_tools(tmp_path, demo_tools):
    for name, tools, text in (("a", demo_tools[:2], "to a"), ("b", demo_tools, "to b")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tools.json").write_text(json.dumps([t.to_openai() for t in tools]))
        row = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": text}]}
        (folder / "cases.jsonl").write_text(json.dumps(row) + "\n")
    assert shipped_prompts(demo_tools[::-1], tmp_path) == ["to b"]
    assert shipped_prompts(demo_tools[:2], tmp_path) == ["to a"]
    assert shipped_prompts(demo_tools[:1], tmp_path) == [] == shipped_prompts(demo_tools, tmp_path / "none")
