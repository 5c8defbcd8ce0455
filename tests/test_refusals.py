"""What is no request, and what lacks a value: that words and form of a request alone do not mean a call."""

from __future__ import annotations

import re

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator, find_links
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.verify import names_value_of
from auto_lora.dialogues.wording.near import near_deeds
from auto_lora.dialogues.wording.no_call import ask_for
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.several import undoes
from tests.tool_lists import WEATHER, text, tool

TIMER = tool(
    "set_timer", "Start a timer.", ["minutes"], minutes={"type": "integer", "description": "Minutes"}
)
VOLUME = tool("set_volume", "Set the volume of a speaker.", ["level"], level={"type": "integer"}, speaker=text("Speaker"))  # fmt: skip


def _written(tools, category, count):
    return SyntheticDataGenerator(tools, TrainingConfig(seed=3)).generate(
        count, "train", shares={category: 1.0}
    )


def test_words_of_the_tools_stand_in_refusals_too():
    about = [bool(re.search(r"\b(?:timer|weather)\b", c.prompt.lower())) for c in _written([TIMER, WEATHER], "no_call", 300)]  # fmt: skip
    assert sum(about) > 0.08 * len(about)
    assert any(f.name.startswith("near_talk") for f in near_deeds([WEATHER], "train"))


def test_missing_values_are_asked_for_in_prompts_of_any_case():
    lower = [
        c.prompt == c.prompt.lower() for c in _written([TIMER, VOLUME, WEATHER], "missing_argument", 200)
    ]
    assert 0.3 < sum(lower) / len(lower) < 0.7


def test_a_value_that_is_said_is_not_missing():
    kinds = {"type": "string", "enum": ["house", "apartment"]}
    assert names_value_of(kinds, "show me houses in Arlington")
    assert not names_value_of(kinds, "show me homes in Arlington")
    homes = tool(
        "find_homes", "Find houses and flats for sale.", ["kind", "city"], kind=kinds, city=text("City")
    )
    for conversation in _written([homes, WEATHER], "missing_argument", 60):
        asked = conversation.messages[-1]["content"]
        assert "kind" not in asked or not re.search(
            r"\bhouses?\b|\bapartments?\b", conversation.prompt.lower()
        )


def test_a_setting_has_one_value():
    one, eight = (PlannedCall(VOLUME, {"level": Value(n, str(n), "level")}) for n in (1, 8))
    assert undoes(one, eight)
    kitchen = PlannedCall(
        VOLUME, {"level": Value(8, "8", "level"), "speaker": Value("den", "den", "generic")}
    )
    assert not undoes(one, kitchen)
    rain = [PlannedCall(WEATHER, {"city": Value(c, c, "place")}) for c in ("Rome", "Oslo")]
    assert not undoes(*rain)


def test_verb_and_object_are_of_one_side():
    assert objects_of("start_return", "Register an item that the customer sends back.") == ("the return",)
    assert objects_of("create_ticket", "Open an incident ticket.")[0] == "an incident ticket"


def test_what_was_just_made_is_not_asked_for():
    made = tool("create_ticket", "Create a ticket.", ["title"], title=text("Title"))
    made = type(made)(made.name, made.description, made.parameters, {"type": "object", "properties": {"ticket_id": {"type": "string"}}})  # fmt: skip
    status = tool("ticket_status", "Get the status of a ticket.", ["ticket_id"], ticket_id=text("Ticket id"))
    close = tool("close_ticket", "Close a ticket.", ["ticket_id"], ticket_id=text("Ticket id"))
    assert find_links([made, status]) == []
    assert [link[2] for link in find_links([made, status, close])] == ["close_ticket"]


def test_numbers_are_asked_for_by_how_many():
    assert ask_for("minutes", "integer") == "How many minutes should it be?"
    assert ask_for("city") == "Which city should I use?"
