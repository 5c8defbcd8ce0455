"""How the built-in writer's requests are worded: as people do, with labels for all that is said."""

from __future__ import annotations

import random
import re
from collections import Counter

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.frames import parse
from auto_lora.dialogues.definitions.meaning import act_of
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.casing import uncapitalised
from auto_lora.dialogues.values.english import plural
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.wording.near import touches
from auto_lora.dialogues.wording.no_call import NoCallWriter
from auto_lora.dialogues.wording.surroundings import Surroundings


def _asked(tool, count=400):
    """(prompt, arguments) of the single calls written for one tool."""
    made = SyntheticDataGenerator([tool], TrainingConfig(seed=3)).generate(
        count, "train", shares={"single": 1.0}
    )
    return [(c.prompt, dict(c.scored_turns()[0].expected[0].arguments)) for c in made]


def _no_calls(*tools):
    rng = random.Random(1)
    return NoCallWriter(rng, "train", tools, Surroundings(rng, Pools(rng)))


def _strings(**descriptions):
    return {
        "type": "object",
        "properties": {k: {"type": "string", "description": d} for k, d in descriptions.items()},
    }


def test_requests_to_a_tool_that_requires_nothing_give_no_most_or_some_arguments():
    tool = ToolDefinition(
        "get_weather", "Get the weather.",
        _strings(city="City.", date="Day, in the words of the user.", condition_description="Weather condition asked about."),
    )  # fmt: skip
    counts = Counter(len(arguments) for _, arguments in _asked(tool))
    assert 0.08 < counts[0] / counts.total() < 0.35
    assert counts[2] + counts[3] > 0.2 * counts.total()


def test_words_of_a_frame_that_a_tool_has_an_argument_for_are_labelled():
    tool = ToolDefinition(
        "add_to_playlist", "Add a song to one of the user's playlists.",
        _strings(playlist="Name of the playlist.", playlist_owner="Whose playlist it is (my, Anna's).", song="Name of the song."),
    )  # fmt: skip
    asked = [(p, a) for p, a in _asked(tool) if re.search(r"\bmy playlist\b", p, re.I)]
    assert asked and all(a.get("playlist_owner", "").lower() == "my" for _, a in asked)


def test_common_nouns_are_labelled_without_their_article_in_any_case_of_letters():
    sampler = Sampler(1, "train")
    schema = {"type": "string", "description": "Day, in the words of the user."}
    made = [sampler.sample("date", schema) for _ in range(300)]
    assert any(v.surface.startswith("the ") for v in made)
    for value in made:
        assert not value.json.startswith("the ")
        typed = uncapitalised(value, schema)
        assert typed.json in typed.surface and typed.surface == typed.surface.lower()


def test_a_noun_in_a_tool_name_is_not_its_verb():
    assert act_of("rate_book", "Give a book a rating.")[0] != "book"
    assert act_of("book_restaurant", "Book a table at a restaurant.")[0] == "book"


def test_a_bare_list_of_words_in_a_description_gives_values():
    assert described_values("shuffle, repeat, next.") == ("shuffle", "repeat", "next")
    assert described_values("films, movies, animated movies.") == ("films", "movies", "animated movies")
    for other in (
        "Time of day, in the words of the user.",
        "street, city, country",
        "First name, last name, title.",
    ):
        assert described_values(other) == ()


def test_two_currencies_in_one_argument_are_labelled_in_the_order_in_which_they_are_said():
    tool = ToolDefinition(
        "exchange_rate", "Get the exchange rate between currencies.",
        _strings(currencies="Currencies asked about, in the order said, joined by ', '."),
    )  # fmt: skip
    pairs = [(p.lower(), str(a["currencies"]).lower().split(", ")) for p, a in _asked(tool) if a]
    pairs = [(p, c) for p, c in pairs if len(c) == 2]
    assert len({p.replace(c[0], "A").replace(c[1], "B") for p, c in pairs}) > 30
    assert any("how many" in p for p, _ in pairs)
    for prompt, (first, second) in pairs:
        assert re.search(rf"\b{re.escape(first)}\b.*\b{re.escape(second)}\b", prompt), prompt


def test_what_the_weather_may_be_is_said_in_the_form_that_the_sentence_wants():
    tool = ToolDefinition(
        "get_weather", "Get the weather.", _strings(condition="Weather condition asked about.")
    )
    asked = [(p.lower(), a["condition"].lower()) for p, a in _asked(tool, 600) if a]
    inventories = phrases("inventories")
    said = {
        form: [c for p, c in asked if re.search(before, p)]
        for form, before in (("verb", r"is it (?:going to|gonna) (?!be)"), ("adjective", r"(?<!ture )will it be "), ("noun", r"will there be "))
    }  # fmt: skip
    for form, values in said.items():
        known = {
            v.removeprefix("a ") for v in inventories[f"weather_{form}"]
        }  # articles are no part of labels
        assert values and set(values) <= known


def test_the_time_is_said_once():
    tool = ToolDefinition(
        "set_alarm", "Set an alarm.",
        _strings(time="Time of day, in the words of the user.", date="Day, in the words of the user.", timeofday="Part of the day."),
    )  # fmt: skip
    asked = _asked(tool, 800)
    assert not [
        p
        for p, _ in asked
        if re.search(r"\bthe the\b|\b(?:at|in|for) (?:at|in)\b|\bin the (?:noon|dawn|midday)\b", p)
    ]
    for prompt, a in asked:
        part, day, time = a.get("timeofday", ""), a.get("date", ""), a.get("time", "")
        assert not (day and re.match("this |tonight|later", part, re.I)) or day.lower() == "today", prompt
        assert not (part and re.search(r"\d[: ]?\d\d|noon|midnight|from now|in the", time)), prompt
        if part and (half := re.search(r"([ap])\.?m", time)):  # "six am tomorrow morning"
            assert part.endswith("morning" if half[1] == "a" else ("afternoon", "evening", "night")), prompt


def test_the_words_of_a_delivery_are_its_argument():
    tool = ToolDefinition(
        "order_food", "Order food to be delivered or taken away.",
        _strings(dish="Food.", order_type="delivery or takeaway, in the words of the user.", place_type="Kind of place."),
    )  # fmt: skip
    asked = _asked(tool, 600)
    found = [a for p, a in asked if re.search(r"\b(?:takeaway|takeout|pickup)\b", p, re.I)]
    assert found and all("order_type" in a for a in found)
    assert not {"cinema", "hotel", "supermarket"} & {a.get("place_type", "").lower() for _, a in asked}


def test_questions_that_a_tool_may_take_are_no_no_calls():
    facts = ToolDefinition(
        "wikipedia", "Answer a question of general knowledge.", _strings(question="The question.")
    )
    lamp = ToolDefinition("set_lamp", "Switch a lamp on or off.", _strings(room="Room."))
    uncovered = phrases("no_call")["uncovered"]

    def refused(tool):
        writer = _no_calls(tool)
        made = (writer.write() for _ in range(600))
        return [written.shape for found in made if found and (written := found[0]) and found[1] == uncovered]

    asked = {p for g in phrases("chat")["groups"] if g["answer"] == uncovered for p in g["prompts"]}
    assert asked & set(refused(lamp)) and not asked & set(refused(facts))
    assert touches(
        "what is the population of {country}",
        [ToolDefinition("get_country", "Facts.", _strings(of="Which country."))],
    )
    assert not touches("what is the population of {country}", [lamp])


def test_every_chat_prompt_is_a_pattern_that_fills():
    writer = _no_calls()
    for group in phrases("chat")["groups"]:
        for prompt in group["prompts"]:
            made = writer._filled(parse(prompt))
            assert made and not re.search(r"[][{}()|]", made), prompt


def test_nothing_is_put_where_it_could_be_part_of_an_argument():
    send = ToolDefinition(
        "send_message", "Send a message to a contact.",
        {**_strings(recipient="Who gets it.", text="The message."), "required": ["recipient", "text"]},
    )  # fmt: skip
    closers = tuple(c for c in phrases("around")["closers"] if "{" not in c)
    for prompt, arguments in _asked(send):
        after = prompt.lower().rstrip(".!?").partition(arguments["text"].lower())[2]
        assert after not in closers, prompt
    find = ToolDefinition(
        "find_contact", "Find a contact.", {**_strings(name="Name of the person."), "required": ["name"]}
    )
    for prompt, arguments in _asked(find):
        before, _, after = prompt.lower().partition(arguments["name"].lower())
        assert not re.search(r"^(?:\w+, )$", before) or before in phrases("around")["openers"], prompt
        assert not re.search(r"^, [a-z]+[.!?]?$", after) or after.rstrip(".!?") in closers, prompt


def test_what_an_argument_stands_for_is_not_said_beside_it():
    light = ToolDefinition(
        "set_light", "Turn the lights of a room on or off.",
        {"type": "object", "properties": {"room": {"type": "string"}, "state": {"enum": ["on", "off"]}}, "required": ["room", "state"]},
    )  # fmt: skip
    assert not any("of a room" in p.lower() for p, _ in _asked(light))


def test_every_slot_of_a_form_is_known_and_filled():
    pools = Pools(random.Random(1))
    for kind, forms in phrases("forms").items():
        for slot in re.findall(r"\{([A-Za-z]\w*)\}", " ".join(forms)):
            known = slot.lower() in phrases("inventories") or slot.lower() in pools._makers
            assert known or slot in phrases("forms"), (kind, slot)
        made = [pools.formed(kind) for _ in range(60)]
        left = r"\b[Aa] [aeio]" if kind == "regex" else r"[{}]|\b[Aa] [aeio]"
        assert not re.search(left, " ".join(made)) and len(set(made)) > 5
    assert (plural("city"), plural("day"), plural("box"), plural("song")) == (
        "cities",
        "days",
        "boxes",
        "songs",
    )
