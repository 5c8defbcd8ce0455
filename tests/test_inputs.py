"""What the user has: own cases as the test, own prompts, public data, an adapter to start from."""

from __future__ import annotations

import json
import random
import re
import sys
from shutil import copytree
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from auto_lora.__main__ import main
from auto_lora._conversation import read_conversations, write_conversations
from auto_lora._errors import ConfigError, DataError, MissingPartError, ModelError, ToolsError, UsageError
from auto_lora._runs import clear_run, write_json
from auto_lora._settings import TrainingConfig, split_mix
from auto_lora._toolcall import AcceptedCall, ToolCall
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import Donated, SyntheticDataGenerator
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.donated import NEAR_TEST
from auto_lora.dialogues.verify import NearPrompts, _words
from auto_lora.dialogues.wording.style import Style
from auto_lora.finetune import LoRATrainer
from auto_lora.handover import headline
from auto_lora.preflight import check_inputs, check_kept, check_tools
from auto_lora.score import CaseResult, Evaluation, score_turn
from auto_lora.score_pair import compare
from tests import train_tiny
from tests.train_tiny import Data, tiny_base

LIGHT = ToolDefinition(
    "set_light",
    "Switches the lights of a room.",
    {
        "type": "object",
        "properties": {
            "room": {"type": "string", "description": "room of the house"},
            "state": {"type": "string", "enum": ["on", "off"]},
            "brightness": {"type": "integer", "minimum": 0, "maximum": 100, "description": "percent"},
        },
        "required": ["room", "state"],
    },
)
ALARM = ToolDefinition(
    "set_alarms",
    "Sets alarms.",
    {
        "type": "object",
        "properties": {"times": {"type": "array", "items": {"type": "string"}, "description": "HH:MM"}},
        "required": ["times"],
    },
)
TOOLS = [LIGHT, ALARM]
ON = {"name": "set_light", "arguments": {"room": ["kitchen", "the kitchen"], "state": "on", "brightness": 50},
      "optional": ["brightness"]}  # fmt: skip


def lines(path, *rows):
    path.write_text(
        "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8"
    )
    return str(path)


def user(text):
    return {"role": "user", "content": text}


def case(text, *expected):
    return {"messages": [user(text)], "expected": list(expected)}


def openai(text, name, arguments):
    call = {"id": "x1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return {"messages": [user(text), {"role": "assistant", "content": None, "tool_calls": [call]}]}


def read(path, tools=TOOLS, **options):
    return Donated.of(TrainingConfig(test_file=path, **options), tools)


def test_both_formats_become_cases(tmp_path):
    path = lines(
        tmp_path / "cases.jsonl",
        case("kitchen light on", ON),
        case("tell me a joke"),
        openai("lights off in the hall", "set_light", {"state": "off", "room": "hall"}),
        case("wake me at 7 and 8", {"name": "set_alarms", "arguments": {"times": ["07:00", "08:00"]}}),
        {"messages": [user("hi"), {"role": "assistant", "content": "Hello."}, user("both rooms dark")],
         "expected": [{"name": "set_light", "arguments": {"room": r, "state": "off"}} for r in ("hall", "attic")]},
    )  # fmt: skip
    donated = read(path, system_prompt="Be brief.")
    assert [c.category for c in donated.test] == ["single", "no_call", "single", "single", "parallel"]
    assert all(c.messages[0]["content"] == "Be brief." for c in donated.test)
    assert donated.test_writer == f"{path}, the user's own cases"
    (turn,) = donated.test[2].scored_turns()
    assert json.loads(turn.answer["tool_calls"][0]["function"]["arguments"]) == {
        "room": "hall",
        "state": "off",
    }
    assert list(turn.expected[0].arguments) == ["room", "state"], "schema order"
    (alarms,) = donated.test[3].scored_turns()[0].expected
    assert alarms.accepted["times"] == [["07:00", "08:00"]], "a list that is the value itself"
    again = write_conversations(tmp_path / "again.jsonl", donated.test)
    assert read_conversations(again) == list(donated.test)
    assert len(read(str(again)).test) == 5, "what is written can be given again"


def test_accepted_values_of_a_tool_whose_parameters_are_tied_together(tmp_path):
    either = [{"required": ["id"]}, {"required": ["name"]}]
    text = {"type": "string"}
    parameters = {"type": "object", "properties": {"id": text, "name": text, "room": text}, "anyOf": either}
    row = case("who?", {"name": "find", "arguments": {"id": "7", "room": ["hall", "the hall"]}})
    (found,) = read(lines(tmp_path / "t.jsonl", row), [ToolDefinition("find", "Finds.", parameters)]).test
    (turn,) = found.scored_turns()
    assert turn.expected[0].accepted["room"] == ["hall", "the hall"]


def test_our_own_data_is_a_test_file(tmp_path, demo_tools):
    made = SyntheticDataGenerator(demo_tools, TrainingConfig()).generate(60, "test")
    path = write_conversations(tmp_path / "own.jsonl", made)
    taken = read(str(path), demo_tools).test
    assert [c.category for c in taken] == [c.category for c in made]
    for a, b in zip(taken, made, strict=True):
        assert [t.expected for t in a.scored_turns()] == [t.expected for t in b.scored_turns()]
        assert a.prompt == b.prompt and a.tools == b.tools


def verdict(expected, *predicted):
    return score_turn([AcceptedCall.of(e) for e in expected], predicted, "", "")


def light(**arguments):
    return ToolCall("set_light", arguments)


RULE = {**ON, "arguments": {"room": ["kitchen", "the kitchen"], "state": ["on"], "brightness": [50, 60]}}
OTHER = {"name": "set_light", "arguments": {"room": ["hall"], "state": ["on"]}, "optional": ["brightness"]}


@pytest.mark.parametrize(
    ("expected", "predicted", "exact"),
    [
        ([RULE], [light(room="The kitchen", state="on")], True),
        ([RULE], [light(room="kitchen", state="on", brightness=60)], True),
        ([RULE], [light(room="kitchen", state="on", brightness=70)], False),
        ([RULE], [light(room="kitchen")], False),
        ([OTHER], [light(room="hall", state="on", brightness=7)], True),
        ([OTHER], [light(room="hall", state="on", speed=7)], False),
        ([RULE, OTHER], [light(room="hall", state="on"), light(room="the kitchen", state="on")], True),
        ([RULE], [], False),
        ([], [light(room="hall", state="on")], False),
    ],
)
def test_any_accepted_form_is_right_and_no_other(expected, predicted, exact):
    assert verdict(expected, *predicted).exact is exact


WRONG = {
    "it is not JSON": '{"messages": [',
    "it has no list of messages": {"prompt": "light on"},
    "a message has no role of": {"messages": [{"role": "robot", "content": "x"}], "expected": []},
    "no user says anything in it": {"messages": [{"role": "system", "content": "x"}, user(" ")], "expected": []},
    "a message's content is no text": {"messages": [user({"a": 1})], "expected": []},
    "it has neither an assistant turn at its end nor": {"messages": [user("light on")]},
    "answers a user or tool message": {"messages": [user("a"), {"role": "assistant", "content": "b"}], "expected": []},
    "`expected` is not a list of calls": {"messages": [user("a")], "expected": {"name": "set_light"}},
    "a call to the unknown tool 'set_lamp'": case("a", {"name": "set_lamp", "arguments": {}}),
    "a call to the unknown tool None": case("a", {"arguments": {}}),
    "set_light has no parameter 'speed'": openai("a", "set_light", {"room": "x", "state": "on", "speed": 1}),
    "'dim' is not one of": openai("a", "set_light", {"room": "x", "state": "dim"}),
    "'high' is not of type 'integer'": case("a", {**ON, "arguments": {**ON["arguments"], "brightness": "high"}}),
    "'state' is a required property": case("a", {"name": "set_light", "arguments": {"room": "x"}}),
    "are no object, or `optional` is no list": case("a", {"name": "set_light", "arguments": ["x"]}),
    "`optional` names 'speed'": case("a", {**ON, "optional": ["speed"]}),
    "the arguments of set_light are no JSON object": openai("a", "set_light", "x"),
    "the `function` of a call is no object": {
        "messages": [user("a"), {"role": "assistant", "tool_calls": [{"function": None}]}]
    },
    "a call to the unknown tool ['set_light']": case("a", {"name": ["set_light"], "arguments": {}}),
    "`optional` names ['room']": case("a", {**ON, "optional": [["room"]]}),
    "it is not JSON: 'utf-8' codec": '{"messages": [{"role": "user", "content": "cut \\ud83d"}], "expected": []}',
    "it is not JSON: Out of range float": '{"messages": [], "expected": NaN}',
}  # fmt: skip


def test_a_mark_at_the_start_of_a_file_is_no_text(tmp_path):
    path = tmp_path / "windows.jsonl"
    path.write_text(json.dumps(case("kitchen light on", ON)) + "\r\n", encoding="utf-8-sig")
    assert [c.prompt for c in read(str(path)).test] == ["kitchen light on"]
    assert [c.prompt for c in seeds(str(path)).seeds] == ["kitchen light on"]


@pytest.mark.parametrize(("said", "row"), WRONG.items())
def test_a_wrong_line_is_one_sentence_with_its_number(tmp_path, said, row):
    path = lines(tmp_path / "cases.jsonl", case("kitchen light on", ON), "", row)
    with pytest.raises(UsageError) as caught:
        read(path)
    assert caught.value.message.startswith(f"{path}, line 3: ") and said in caught.value.message
    assert "\n" not in caught.value.message and "set_light" in caught.value.hint


def test_a_file_that_is_missing_or_empty_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="gone.jsonl does not exist"):
        read(str(tmp_path / "gone.jsonl"))
    with pytest.raises(UsageError, match="holds no cases"):
        read(lines(tmp_path / "empty.jsonl", ""))
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(UsageError, match="latin.jsonl cannot be read"):
        read(str(tmp_path / "latin.jsonl"))


def test_the_command_line_names_the_line_and_ends_with_2(tmp_path, capsys):
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([t.to_openai() for t in TOOLS]))
    path = lines(tmp_path / "cases.jsonl", case("a", {"name": "set_lamp", "arguments": {}}))
    argv = ["--generate", "--tools", str(tools), "--output", str(tmp_path / "out"), "--test-file"]
    assert main([*argv, path]) == 2
    assert capsys.readouterr().err.startswith(
        f"auto-lora: {path}, line 1: a call to the unknown tool 'set_lamp'"
    )
    good = lines(tmp_path / "good.jsonl", case("kitchen light on", ON))
    assert main([*argv, good, "--overwrite", "--examples", "20", "--num-validation-examples", "5"]) == 0
    test = read_conversations(tmp_path / "out" / "data" / "test.jsonl")
    assert [c.prompt for c in test] == ["kitchen light on"]


def test_nothing_like_a_case_is_written(tmp_path):
    plain = SyntheticDataGenerator(TOOLS, TrainingConfig())
    taken = {split: plain.generate(60, split) for split in ("train", "validation")}
    prompts = [taken[s][i].prompt.upper() + ", please!" for s in taken for i in range(5)]
    path = lines(tmp_path / "cases.jsonl", *map(case, prompts))
    generator = SyntheticDataGenerator(TOOLS, TrainingConfig(), donated=read(path))
    for split in taken:
        written = generator.generate(60, split)
        assert len(written) == 60
        for text in prompts:
            assert all(likeness(text, c.prompt) < 0.75 for c in written)
    assert generator.rejects[NEAR_TEST] >= 2
    assert [c.prompt for c in generator.held_out(5, "test")] == prompts


def likeness(a, b):
    a, b = set(_words(a) or a.casefold().split()), set(_words(b) or b.casefold().split())
    return len(a & b) / len(a | b) if a | b else 0.0


words = st.lists(st.sampled_from("light kitchen on off the hall please at seven two dim".split()), min_size=1)


@given(st.lists(words, max_size=8), words, st.sampled_from([0.5, 0.75, 0.9]))
@settings(max_examples=200, deadline=None)
def test_near_prompts_are_those_a_full_comparison_finds(held, asked, share):
    held, asked = [" ".join(w) for w in held], " ".join(asked)
    assert (asked in NearPrompts(held, share)) == any(likeness(h, asked) >= share for h in held)


def test_the_headline_names_the_users_file(tmp_path):
    donated = read(lines(tmp_path / "cases.jsonl", case("kitchen light on", ON), case("tell me a joke")))

    def answers(name, *calls):
        cases = [
            CaseResult(c, (score_turn(c.scored_turns()[0].expected, made, "raw", ""),))
            for c, made in zip(donated.test, calls, strict=True)
        ]
        return Evaluation(name, cases)

    right = (light(room="the kitchen", state="on"),)
    metrics = compare(answers("base", (), ()), answers("adapter", right, ()))
    assert metrics["adapter"]["overall"]["exact"]["count"] == 2 and metrics["base"]["must_call"]["of"] == 1
    sentence = headline({**metrics, "test_writer": donated.test_writer})
    assert f"the test was written by {tmp_path / 'cases.jsonl'}, the user's own cases" in sentence


# Prompts of one's own.


def seeds(path, tools=TOOLS, **options):
    return Donated.of(TrainingConfig(seed_prompts=path, **options), tools)


TYPED = [
    "hey there, lights on in the kitchen",
    "lights off",
    "please wake me at seven",
    "yo dim the hall",
    "turn everything off in the living room now",
    "Please put the lamp on",
    "is the attic dark?",
    "kitchen light",
]


def test_prompts_in_every_format_are_read(tmp_path):
    path = lines(
        tmp_path / "log.jsonl",
        "lights on in the den",
        {"prompt": "good night"},
        {
            "prompt": "hall off",
            "expected": [{"name": "set_light", "arguments": {"room": "hall", "state": "off"}}],
        },
        {"prompt": "nice weather today", "expected": []},
        openai("kitchen dark", "set_light", {"room": "kitchen", "state": "off"}),
        {"messages": [user("are you there"), {"role": "assistant", "content": "Yes."}]},
        openai("kitchen blue", "set_light", {"room": "kitchen", "state": "blue"}),
        openai("play jazz", "play_music", {"genre": "jazz"}),
        openai("Kitchen dark, please", "set_light", {"room": "kitchen", "state": "off"}),
    )
    donated = seeds(path)
    assert [c.prompt for c in donated.seeds] == ["hall off", "nice weather today", "kitchen dark"]
    assert [c.category for c in donated.seeds] == ["single", "no_call", "single"]
    assert sum(donated.dropped.values()) == 3
    said = " ".join(donated.dropped)
    assert (
        "'blue' is not one of" in said and "unknown tool 'play_music'" in said and "duplicate prompt" in said
    )
    (note,) = donated.notes
    assert note.startswith(f"{path}: 9 prompts (typed like them), 3 of them trained on; 1 dropped: ")
    assert donated.style and len(donated.style.lengths) == 9


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ("line 2: it is not JSON", '{"prompt": '),
        ("line 2: it is no object", [{"prompt": "lights on"}]),
        ("line 2: it has neither a prompt nor a list of messages", {"text": "lights on"}),
        ("line 2: no user says anything in it", {"prompt": " "}),
        ("line 2: a message has no role", {"messages": [{"content": "x"}]}),
    ],
)
def test_a_wrong_line_of_prompts_is_one_sentence(tmp_path, said, row):
    with pytest.raises(UsageError, match=said):
        seeds(lines(tmp_path / "log.jsonl", "lights on", row))


def test_a_file_without_prompts_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="holds no prompts"):
        seeds(lines(tmp_path / "log.txt", " "))
    with pytest.raises(UsageError, match="log.md does not exist"):
        seeds(str(tmp_path / "log.md"))


def test_own_prompts_are_trained_on_once_but_never_those_of_the_test(tmp_path):
    log = lines(
        tmp_path / "log.jsonl",
        case("hall off", {"name": "set_light", "arguments": {"room": "hall", "state": "off"}}),
        case("attic off!", {"name": "set_light", "arguments": {"room": "attic", "state": "off"}}),
        *TYPED,
    )
    test = lines(
        tmp_path / "test.jsonl",
        case("Attic off", {"name": "set_light", "arguments": {"room": "attic", "state": "off"}}),
    )
    config = TrainingConfig(seed_prompts=log, test_file=test)
    generator = SyntheticDataGenerator(TOOLS, config, donated=Donated.of(config, TOOLS))
    first = generator.training(20)
    second = generator.training(10, first, seed=7)
    assert len(first) == 21 and first[-1].prompt == "hall off" and len(second) == 10
    assert generator.rejects[f"seed prompt: {NEAR_TEST}"] == 1
    assert not {c.id for c in first} & {c.id for c in second}
    assert len(Donated.of(config, TOOLS).style.lengths) == 9, "no style of the test's prompts"


def test_a_style_is_what_the_prompts_show():
    style = Style.of(TYPED)
    assert style == Style(
        7 / 8, 1.0, 1 / 8, 0.5, ("hey there, ", "please ", "yo ", "please "), (7, 2, 5, 4, 8, 5, 4, 2)
    )
    assert Style.of(TYPED[:7]) is None and Style.of([]) is None


def measured(conversations):
    return Style.of([c.prompt for c in conversations])


@pytest.mark.parametrize(
    ("lower", "capital", "ended", "opened", "words"),
    [(1.0, 0.0, 0.0, 0.6, 14), (0.0, 1.0, 1.0, 0.0, 3), (0.5, 0.9, 0.5, 0.2, 7)],
)
def test_the_writer_follows_the_style(demo_tools, lower, capital, ended, opened, words):
    style = Style(lower, capital, ended, opened, ("hey, ",), (words,))
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig(), donated=Donated(style=style))
    seen = measured(generator.generate(500, "train"))
    assert abs(seen.ended - ended) < 0.1 and abs(seen.opened - opened) < 0.1
    assert abs(seen.lower - lower) < 0.1
    assert seen.capital >= capital - 0.1


def test_longer_donors_make_longer_prompts(demo_tools):
    def mean(words):
        style = Style(0.5, 1.0, 0.5, 0.1, ("hey, ",), (words,))
        made = SyntheticDataGenerator(demo_tools, TrainingConfig(), donated=Donated(style=style))
        lengths = measured(made.generate(200, "train", shares={"single": 1.0})).lengths
        return sum(lengths) / len(lengths)

    assert mean(4) + 3 < mean(14)


def test_a_reason_stands_apart_from_the_request():
    style = Style(0.0, 0.0, 0.0, 0.0, (), (14,))
    typed = {style.typed("turn on", random.Random(n), question=False, spare=9) for n in range(200)}
    reasons = "|".join(map(re.escape, phrases("around")["reasons"]))
    given = [t for t in typed if t != "turn on"]
    assert len(given) > 50
    assert all(re.fullmatch(rf"(?:{reasons})(?:[.,;]? | - )(?:(?:so|and) )?turn on", t) for t in given)


@given(
    st.lists(st.text(max_size=30), max_size=20),
    st.text("ab ?.!", min_size=1).filter(str.strip),
    st.integers(0, 2**20),
)
@settings(max_examples=200, deadline=None)
def test_any_prompts_make_a_style_that_can_be_typed(prompts, text, seed):
    style = Style.of(prompts)
    if style:
        assert all(0 <= share <= 1 for share in (style.lower, style.capital, style.ended, style.opened))
        assert bool(style.openers) == (style.opened > 0)
        typed = style.typed(text, random.Random(seed), question=False, spare=seed % 9)
        assert text.rstrip(".!?").casefold() in typed.casefold()


# A public data set beside them.

CITY = {"type": "function", "function": {"name": "get_city", "description": "Finds a city.", "parameters": {
    "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}}  # fmt: skip
CLOCK = {
    "type": "function",
    "function": {"name": "get_time", "description": "Tells the time.", "parameters": {}},
}


def with_pattern(pattern):
    """A tool whose pattern Python does not know."""
    name = {"type": "string", "pattern": pattern}
    return {
        "type": "function",
        "function": {**CITY["function"], "parameters": {"type": "object", "properties": {"name": name}}},
    }


@pytest.mark.parametrize(
    "level",
    [
        {"type": "string", "minLength": 5, "pattern": "^[a-z]{1,3}$"},
        {"type": "integer", "not": {"type": "integer"}},
        {"type": "array", "items": {"enum": ["a"]}, "minItems": 2, "uniqueItems": True},
    ],
)
def test_an_argument_that_no_made_up_value_fits_is_told_before_anything_is_written(level):
    def lamp(**more):
        parameters = {"type": "object", "properties": {"level": level}, **more}
        return ToolDefinition("set_lamp", "Sets a lamp's level.", parameters)

    with pytest.raises(ToolsError, match=r'"set_lamp", parameters.properties.level: of 60 .* none fits'):
        check_tools([lamp(required=["level"])])
    check_tools([lamp()])  # it is only never given
    check_tools([lamp(required=["level"])], {"set_lamp.level": lambda rng: (1, "one")})


def mixed_row(i, tools=(CITY, CLOCK), text=""):
    return {
        **openai(f"which city is number {i} {text}".strip(), "get_city", {"name": f"N{i}"}),
        "tools": list(tools),
    }


def mix_file(path, *extra, count=60):
    return lines(path, *(mixed_row(i, (CITY, CLOCK) if i % 2 else (CITY,)) for i in range(count)), *extra)


def trained(config, *rounds):
    generator = SyntheticDataGenerator(TOOLS, config, donated=Donated.of(config, TOOLS))
    before = []
    for number, count in enumerate(rounds):
        before += generator.training(count, before, seed=number)
    return before, generator


def test_a_mix_is_its_share_of_every_round(tmp_path):
    path = mix_file(tmp_path / "mix.jsonl")
    config = TrainingConfig(mix=f"{path}:0.25", num_synthetic_examples=45, num_iterations=2)
    first, generator = trained(config, 45)
    both, _ = trained(config, 45, 30)
    for made in (first, both):
        mixed = [c for c in made if c.meta["writer"] == path]
        assert len(mixed) * 4 == len(made) and len({c.prompt for c in made}) == len(made)
        assert all({t["function"]["name"] for t in c.tools} <= {"get_city", "get_time"} for c in mixed)
    assert both[: len(first)] == first and generator.notes == [f"{path}: 30 conversations at hand"]
    again, _ = trained(config, 45)
    other, _ = trained(TrainingConfig(**{**config.to_dict(), "seed": 1}), 45)
    assert [c.prompt for c in again] == [c.prompt for c in first]
    assert {c.prompt for c in other[45:]} != {c.prompt for c in first[45:]}
    assert not trained(TrainingConfig(), 10)[0][10:], "without a mix nothing is added"


def test_rows_of_a_mix_are_verified_and_kept_from_the_test(tmp_path):
    bad = [
        {"messages": [user("no answer")], "tools": [CITY]},
        {**openai("a", "get_town", {"name": "x"}), "tools": [CITY]},
        {**openai("b", "get_city", {"name": 3}), "tools": [CITY]},
        {**openai("c", "get_city", {"name": "x"}), "tools": []},
        {"messages": "[", "tools": [CITY]},
        {**openai("d", "get_city", {"name": "x"}), "tools": [with_pattern(r"^\p{L}+$")]},
        {**openai("e", "get_city", {"name": "x"}), "tools": [{**CITY, "function": {"name": 5}}]},
        [1],
    ]
    text = {k: json.dumps(v) for k, v in mixed_row(99, text="as text").items()}
    path = mix_file(tmp_path / "mix.jsonl", *bad, text, count=5)
    test = lines(tmp_path / "test.jsonl", case("Which city is number 4?"))
    donated = Donated.of(TrainingConfig(mix=path, test_file=test, num_synthetic_examples=200), TOOLS)
    prompts = {c.prompt for c in donated.mix}
    assert prompts == {f"which city is number {i}" for i in range(4)} | {"which city is number 99 as text"}
    assert donated.dropped == {f"mix: {NEAR_TEST}": 1, "mix: cannot be verified": len(bad)}
    assert donated.notes[0].startswith(
        f"{path}: 5 conversations at hand, fewer than the 50 of a share of 0.2; 1 dropped: "
    )


def test_a_mix_has_prefix_groups_of_its_own(tmp_path, smollm):
    from auto_lora._base_model import load_tokenizer
    from auto_lora.encode import ChatTemplate, ToolCallingDataset

    config = TrainingConfig(mix=mix_file(tmp_path / "mix.jsonl", count=8), num_synthetic_examples=20)
    made, _ = trained(config, 20)
    tokenizer = load_tokenizer(TrainingConfig(llama_cpp_model_path=str(smollm)))
    dataset = ToolCallingDataset(made, ChatTemplate(tokenizer))
    assert len(dataset.groups) == 3 and sum(len(g.examples) for g in dataset.groups) == len(made)
    assert {t for i in range(len(made)) for t in ("get_city", "set_light") if t in dataset.decode_labels(i)} == {"get_city", "set_light"}  # fmt: skip


def test_a_mix_that_cannot_be_used_is_one_sentence(tmp_path, monkeypatch):
    def fails(mix, kind, said):
        with pytest.raises(kind, match=said) as caught:
            Donated.of(TrainingConfig(mix=mix), TOOLS)
        assert caught.value.hint and "\n" not in caught.value.message

    fails(str(tmp_path / "gone.jsonl"), UsageError, "gone.jsonl does not exist")
    fails(lines(tmp_path / "text.jsonl", "hello"), UsageError, "text.jsonl, line 1: it is not JSON")
    fails(
        lines(tmp_path / "none.jsonl", ""),
        UsageError,
        r"no conversation that can be trained on \(it is empty\)",
    )
    fails(lines(tmp_path / "bad.jsonl", {"messages": []}), UsageError, "it holds no list of tools")
    monkeypatch.setitem(sys.modules, "datasets", None)
    fails("someone/some-set", MissingPartError, "someone/some-set needs the package datasets")
    for share in ("0", "1", "-0.5", "nan"):
        fails(f"some.jsonl:{share}", ConfigError, f"mix is 'some.jsonl:{share}'")


def test_a_mix_from_the_hub(tmp_path, monkeypatch):
    """The package `datasets`, faked: the outer boundary."""
    asked = []

    class Stream(list):
        def shuffle(self, seed):
            asked.append(seed)
            return self

    def load_dataset(name, split, streaming):
        if name.endswith("gone"):
            raise ConnectionError("no such\nset")
        asked.append((name, split, streaming))
        return Stream(mixed_row(i) for i in range(1000))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    made, _ = trained(TrainingConfig(mix="someone/a.set:0.5", seed=5), 10)
    assert len(made) == 10 + 10 and asked[:2] == [("someone/a.set", "train", True), 5]
    with pytest.raises(DataError, match="the data set someone/gone cannot be read: no such set"):
        Donated.of(TrainingConfig(mix="someone/gone"), TOOLS)


def test_a_mix_is_split_into_name_and_share():
    assert split_mix("a/b") == ("a/b", 0.2) and split_mix("x.jsonl:0.4") == ("x.jsonl", 0.4)
    assert split_mix(r"C:\data\mix.jsonl") == (r"C:\data\mix.jsonl", 0.2)


# An adapter to start from.

LORA = {"batch_size": 4, "gradient_accumulation_steps": 1, "lora_dropout": 0.0, "lora_r": 4, "lora_alpha": 8}


def train_from(folder, out, base=None, **options):
    config = TrainingConfig.from_dict({**LORA, "init_adapter": folder and str(folder), **options})
    LoRATrainer(config, base or tiny_base()).train(Data(24, 16, 1), Data(6, 16, 2), out)
    return load_file(out / "adapter_model.safetensors"), json.loads((out / "training.json").read_text())


@pytest.fixture(scope="module")
def first_adapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora") / "first"
    return folder, *train_from(None, folder, num_epochs=4, learning_rate=5e-3)


def test_training_starts_from_the_given_adapter(first_adapter, tmp_path):
    folder, weights, training = first_adapter
    still, begun = train_from(folder, tmp_path / "still", num_epochs=1, learning_rate=1e-7)
    for name, weight in weights.items():
        torch.testing.assert_close(still[name], weight, atol=1e-5, rtol=0)
    assert begun["history"][0]["train_loss"] < training["history"][0]["train_loss"] - 0.1
    fresh, _ = train_from(None, tmp_path / "fresh", num_epochs=1, learning_rate=1e-7)
    assert any(not torch.allclose(fresh[n], w, atol=1e-3) for n, w in weights.items())


def changed(folder, to, **settings):
    copytree(folder, to)
    saved = json.loads((to / "adapter_config.json").read_text())
    (to / "adapter_config.json").write_text(json.dumps({**saved, **settings}))
    return to


def test_an_adapter_that_does_not_fit_the_settings_is_one_sentence(first_adapter, tmp_path):
    folder, *_ = first_adapter
    for options, said, hint in [
        ({"lora_r": 8}, "has r 4, the run 8", "give --lora-r 4"),
        ({"lora_alpha": 16}, "has lora_alpha 8, the run 16", "give --lora-alpha 8"),
        (
            {"target_modules": ["q_proj"]},
            "has the target modules down_proj,gate_proj,",
            "--target-modules down_proj,",
        ),
    ]:
        with pytest.raises(UsageError) as caught:
            train_from(folder, tmp_path / "out", **options)
        assert said in caught.value.message and hint in caught.value.hint
    dora = changed(folder, tmp_path / "dora", use_dora=True)
    with pytest.raises(ModelError, match="dora has use_dora: GGUF adapters hold no DoRA"):
        train_from(dora, tmp_path / "out")


def test_a_folder_that_holds_no_adapter_is_one_sentence(first_adapter, tmp_path):
    folder, *_ = first_adapter
    unpickled = changed(folder, tmp_path / "bin")
    (unpickled / "adapter_model.safetensors").rename(unpickled / "adapter_model.bin")
    for wrong in (tmp_path / "gone", unpickled, changed(folder, tmp_path / "ia3", peft_type="IA3")):
        with pytest.raises(ModelError, match="holds no LoRA adapter of PEFT"):
            train_from(wrong, tmp_path / "out")
    cut = changed(folder, tmp_path / "cut")
    whole = (cut / "adapter_model.safetensors").read_bytes()
    (cut / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        train_from(cut, tmp_path / "out")


def test_an_adapter_of_another_base_is_one_sentence(first_adapter, tmp_path, monkeypatch):
    folder, *_ = first_adapter
    for size, said in [
        ({"hidden_size": 48}, r"is 4 x 96, here 4 x 48"),
        ({"num_hidden_layers": 2}, "is not in this base"),
    ]:
        monkeypatch.setattr(train_tiny, "SHAPE", {**train_tiny.SHAPE, **size})
        with pytest.raises(ModelError, match="is of another base model: .*" + said):
            train_from(folder, tmp_path / "out")
        monkeypatch.undo()
    monkeypatch.setattr(train_tiny, "SHAPE", {**train_tiny.SHAPE, "num_hidden_layers": 4})
    with pytest.raises(ModelError, match="of this base is not in the adapter"):
        train_from(folder, tmp_path / "out")


def test_an_adapter_is_looked_at_before_anything_heavy(first_adapter, smollm):
    config = TrainingConfig(llama_cpp_model_path=str(smollm), init_adapter=str(first_adapter[0]), lora_r=16)
    with pytest.raises(UsageError, match="has r 4, the run 16"):
        check_inputs(config, TOOLS)


def test_overwrite_does_not_delete_the_adapter_to_start_from(first_adapter, smollm, tmp_path, capsys):
    out, tools = tmp_path / "out", tmp_path / "tools.json"
    tools.write_text(json.dumps([t.to_openai() for t in TOOLS]))
    for start in (out / "final_adapter", out / "iteration_1"):
        copytree(first_adapter[0], start)
        write_json(out / "run.json", {"settings": {}, "tools": []})
        argv = ["--tools", str(tools), "--model-path", str(smollm), "--output", str(out), "--overwrite"]
        argv += ["--init-adapter", str(start), "--lora-r", "4", "--lora-alpha", "8"]
        for action in ("--train", "--dry-run"):
            assert main([action, *argv]) == 2
            error = capsys.readouterr().err
            assert f"{start} is of the run in {out}, which --overwrite deletes" in error
            assert "choose another --output" in error
        assert (start / "adapter_model.safetensors").is_file()
    beside = out / "mine" / "first"
    copytree(first_adapter[0], beside)
    check_kept(TrainingConfig(output_dir=str(out), init_adapter=str(beside)))
    for name in ("final_adapter/tools.json", "data/train.jsonl", "data/test.jsonl"):
        file = str(write_json(out / name, []))
        for asked in ({"tools": file}, {"test_file": file}, {"seed_prompts": file}, {"mix": f"{file}:0.3"}):
            with pytest.raises(UsageError, match="is of the run in"):
                check_kept(TrainingConfig(output_dir=str(out), **asked))
    clear_run(out)
    assert [p.name for p in out.iterdir()] == ["mine"] and beside.is_dir()
