"""People who change their mind: what is taken back is in the prompt and never in the call."""

from __future__ import annotations

import random
import re

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator, maker
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.corrections import taken_back, with_correction
from auto_lora.dialogues.wording.planned import PlannedCall
from tests.tool_lists import WEATHER, text, tool

ALARM = tool(
    "set_alarm", "Set an alarm.", ("time",), time=text("Time of day, HH:MM"), day=text("Day of the alarm")
)
TELL = tool(
    "send_message", "Send a message.", ("to", "message"), to=text("Recipient"), message=text("Text to send")
)
_TAKEN_BACK = re.compile(
    r"\bno,|no wait|sorry, |\bi mean|make that|or rather|scratch that|, actually|no sorry|, not |instead|actually, |i meant|on second thought",
    re.I,
)
AT_SEVEN = PlannedCall(ALARM, {"time": Value("07:00", "7 am", "time")})


def _always(tools, monkeypatch, count=60):
    monkeypatch.setattr(maker, "_CORRECTED", 1.0)
    generator = SyntheticDataGenerator(tools, TrainingConfig(num_synthetic_examples=count, seed=3))
    return [c for c in generator.training(count) if c.category in ("single", "optional")]


def test_the_words_in_force_come_with_those_taken_back():
    eight = Value("08:00", "8 am", "time")
    call = with_correction(random.Random(0), lambda call, name: eight, AT_SEVEN)
    assert call.arguments() == {"time": "07:00"}
    assert call.values["time"].instead_of == "8 am"
    for seed in range(30):
        name, words, after = taken_back(random.Random(seed), call, alone=seed % 2 == 0)
        assert name == "time" and re.search(r"\b8\b", words)
        assert "7 am" in f"{words} {after}"
        assert not after or seed % 2 == 0


def test_no_correction_where_no_other_value_comes_up():
    assert with_correction(random.Random(0), lambda call, name: None, AT_SEVEN) is AT_SEVEN
    part = Value("19:00", "7", "time")  # "7, no, 7 am" takes nothing back
    assert with_correction(random.Random(0), lambda call, name: part, AT_SEVEN) is AT_SEVEN


def test_requests_take_places_back_and_mean_the_later(monkeypatch):
    made = [
        (c.prompt.lower(), c.scored_turns()[0].expected[0].arguments)
        for c in _always([WEATHER], monkeypatch, 160)
    ]
    joined = [(p.partition(mark), a) for p, a in made for mark in (", no, ", ", or rather ", ", no wait, ", ", i mean ") if mark in p]  # fmt: skip
    assert len(joined) > 8
    for (before, _, after), arguments in joined:
        assert arguments["city"].lower() in after and arguments["city"].lower() not in before


def test_nearly_all_are_corrected_where_all_may_be(monkeypatch):
    made = _always([ALARM], monkeypatch)
    assert sum(bool(_TAKEN_BACK.search(c.prompt)) for c in made) > 0.8 * len(made)


def test_somebody_s_own_words_are_never_taken_back(monkeypatch):
    made = _always([TELL], monkeypatch)
    assert made and not any(_TAKEN_BACK.search(c.prompt) for c in made)


def test_few_prompts_are_corrected():
    generator = SyntheticDataGenerator([ALARM], TrainingConfig(num_synthetic_examples=600, seed=3))
    prompts = [c.prompt for c in generator.training(600)]
    found = [
        p
        for p in prompts
        if re.search(r"no wait|scratch that|i mean|make that|or rather|second thought", p, re.I)
    ]
    assert 0 < len(found) < 0.05 * len(prompts)
