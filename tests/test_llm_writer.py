"""A language model as writer: what it may say, and that no run ends because of it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from auto_lora._conversation import read_conversations
from auto_lora._server_process import free_port
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import LLMWriter, SyntheticDataGenerator, Written
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.verify import Duplicates, fault_of, leak_of, overlap_of
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.synthetic_data import generate_data, language_model, writers_of

SINGLE = {"single": 1.0}


class Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint whose answers the test chooses: the outer boundary, faked.

    An answer is a message's text, a whole body in bytes, or a status.
    """

    answer = staticmethod(lambda prompt: "")
    prompts: list[str] = []  # noqa: RUF012
    in_flight = most = 0
    lock = threading.Lock()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind, prompt = type(self), body["messages"][0]["content"]
        with self.lock:
            kind.prompts.append(prompt)
            kind.in_flight += 1
            kind.most = max(kind.most, kind.in_flight)
        answer = kind.answer(prompt)
        with self.lock:
            kind.in_flight -= 1
        status = answer if isinstance(answer, int) else 200
        if not isinstance(answer, bytes):
            answer = json.dumps({"choices": [{"message": {"content": answer}, "finish_reason": "stop"}]}).encode()  # fmt: skip
        try:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)
        except OSError:  # the client gave up on a slow answer
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    kind = type("Handler", (Endpoint,), {"prompts": [], "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def values_in(prompt: str) -> list[str]:
    return [line.split(": ", 1)[1] for line in prompt.splitlines() if line.startswith("- ") and ": " in line]


OPENINGS = (
    "hey could you sort out", "my hands are full so please do", "I was hoping you might manage", "would you kindly take care of",
    "quickly now", "sorry to bother you again but", "it would be lovely to have", "right then let us get going with",
)  # fmt: skip


def good(prompt: str) -> str:
    """A message with all values, worded differently each time: what a capable model does."""
    start = OPENINGS[len(prompt) % len(OPENINGS)]
    return f"{start} {' and '.join(values_in(prompt)) or 'the usual thing'}"


def written_with(endpoint, tools, answer, *, count=12, timeout=10.0, **settings):
    """(conversations, rejects, writer's name) of a writer that is used without a probe."""
    kind, url = endpoint
    kind.answer = staticmethod(answer)
    writer = LLMWriter(url, "m", timeout=timeout)
    generator = SyntheticDataGenerator(tools, TrainingConfig(**settings), writer=writer)
    made = generator.generate(count, "train", shares=SINGLE)
    writer.close()
    return made, generator.rejects, writer.name


def test_a_good_model_writes_and_is_named(endpoint, demo_tools):
    kind, url = endpoint
    kind.answer = staticmethod(good)
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig())
    writer = LLMWriter(url, "good", timeout=10)
    assert generator.adopt(writer) and "used as writer" in generator.verdict
    made = generator.generate(40, "train", shares=SINGLE)
    writer.close()
    assert writers_of(made).get(writer.name, 0) > 15
    assert "good at http" in generator.describe_writer(made)
    for c in made:
        if c.meta["writer"] == writer.name:
            call = c.scored_turns()[0].expected[0]
            assert all(str(v).lower() in c.prompt.lower() for k, v in call.arguments.items() if k == "city")


def test_the_model_is_given_calls_values_persona_and_register(endpoint, demo_tools):
    made, _, _ = written_with(endpoint, demo_tools, good)
    prompts, book = endpoint[0].prompts, phrases("personas")
    assert len(made) == 12 and len(book["personas"]) >= 20 and len(book["registers"]) >= 12
    used = {k: {v for v in book[k] for p in prompts if v in p} for k in ("personas", "registers")}
    assert len(used["personas"]) > 3 and len(used["registers"]) > 3
    assert all(any(t.description in p for t in demo_tools) for p in prompts)
    assert any(values_in(p) for p in prompts)


def test_several_requests_are_in_flight_and_the_order_stays(endpoint, demo_tools):
    kind, url = endpoint
    runs = []
    for _ in range(2):
        kind.answer = staticmethod(lambda prompt: time.sleep(0.05 * (len(prompt) % 3)) or good(prompt))
        writer = LLMWriter(url, parallel=4, timeout=10)
        generator = SyntheticDataGenerator(demo_tools, TrainingConfig(), writer=writer)
        runs.append([c.to_json() for c in generator.generate(16, "train")])
        writer.close()
    assert 2 <= kind.most <= 4
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda p: "please do that thing we spoke about", "an argument is not in the prompt"),
        (lambda p: "", "empty text"),
        (lambda p: good(p) + " at 98765 percent", "a number that was not planned"),
        (lambda p: good(p) + " tomorrow", "a date or time that was not planned"),
        (lambda p: good(p) + " with Bartholomew", "a name that was not planned"),
        (lambda p: good(p) + " via set_light", "names a tool or parameter"),
        (lambda p: f"Sure, here's a message: {good(p)}", "not one person's message"),
        (lambda p: 500, "server error 500"),
        (lambda p: b"<html>busy</html>", "an answer that is not OpenAI's JSON"),
        (lambda p: b'{"choices": []}', "an answer that is not OpenAI's JSON"),
        (lambda p: b"[1, 2", "an answer that is not OpenAI's JSON"),
        (lambda p: b'{"choices": [{"message": {"content": "a"}, "finish_reason": "length"}]}', "cut off"),
    ],
)  # fmt: skip
def test_a_bad_text_is_counted_and_the_built_in_writer_takes_over(endpoint, demo_tools, answer, reason):
    needy = [t for t in demo_tools if t.required]
    made, rejects, name = written_with(endpoint, needy, answer)
    assert len(made) == 12 and writers_of(made) == {"builtin": 12}
    found = {k: n for k, n in rejects.items() if k.startswith(f"text by {name}: ") and reason in k}
    assert sum(found.values()) >= 5, rejects


def test_a_slow_model_is_given_up_and_the_run_goes_on(endpoint, demo_tools):
    release = threading.Event()

    def slow(prompt):
        release.wait(20)
        return good(prompt)

    made, rejects, name = written_with(endpoint, demo_tools, slow, timeout=0.2)
    release.set()
    assert writers_of(made) == {"builtin": 12}
    assert rejects[f"text by {name}: no answer within 0.2 s"] >= 5
    assert rejects[f"text by {name}: the server kept failing and is asked no more"] >= 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[", "nonsense"])
def test_an_absent_model_is_found_unfit(demo_tools, url):
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig())
    writer = LLMWriter(url, timeout=2)
    assert not generator.adopt(writer)
    assert "no connection" in generator.verdict and "unfit" in generator.verdict
    assert len(generator.generate(10, "train")) == 10
    writer.close()


@pytest.mark.parametrize("text", ["", "Turn everything off at 99 o'clock", "no idea"])
def test_a_bad_model_is_found_unfit_and_says_why(endpoint, demo_tools, text):
    kind, url = endpoint
    kind.answer = staticmethod(lambda prompt: text)
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig())
    writer = LLMWriter(url, timeout=10)
    assert not generator.adopt(writer)
    assert "0 of 5 probe texts verified (" in generator.notes[0] and "unfit" in generator.notes[0]
    assert writers_of(generator.generate(20, "train")) == {"builtin": 20}
    writer.close()


def test_both_writers_are_mixed_half_and_half(endpoint, demo_tools):
    kind, url = endpoint
    numbers = iter(range(10**6))
    syllables = "ba co du fe gi ho ju ka le mi no pu ra so ti vu we xa yo zi".split()

    def fresh(prompt):
        n = next(numbers)
        words = [syllables[n // 20**k % 20] + syllables[(n + 7 * k) % 20] for k in range(5)]
        return f"{' '.join(words)} {' and '.join(values_in(prompt))}"

    kind.answer = staticmethod(fresh)
    writer = LLMWriter(url, "m", timeout=10)
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig(writer="both"), writer=writer)
    wrote = writers_of(generator.generate(120, "train", shares=SINGLE))
    writer.close()
    assert set(wrote) == {"builtin", writer.name} and 40 <= wrote["builtin"] <= 80


def test_near_copies_are_refused(endpoint, demo_tools):
    weather = [t for t in demo_tools if t.name == "get_weather"]
    long = "so listen my dear friend could you please find out for me how the sky is going to look over there in {} because we want to go out"
    made, rejects, name = written_with(endpoint, weather, lambda p: long.format(values_in(p)[0]), count=8)
    assert rejects[f"text by {name}: near copy of an earlier prompt"] == writers_of(made)["builtin"] >= 6


def test_duplicates_by_words_and_by_trigrams():
    first = "could you put on some Nina Simone in the kitchen for the next hour or so"
    seen = Duplicates([first], near=True)
    assert not seen.is_new(
        "Could you please put on some Nina Simone in the kitchen, for the next hour or so?"
    )
    assert not seen.is_new(first.replace("kitchen", "bathroom"), near=True)
    assert seen.is_new("is there any chance of hearing Nina Simone in the kitchen", near=True)
    assert seen.is_new(first.replace("kitchen", "hall"))  # nobody asked
    assert not Duplicates([first]).is_new(first) and Duplicates([first]).is_new(first + " now")


def test_duplicates_hold_8_bytes_a_prompt():
    seen = Duplicates()
    n = 3 * (1 << 12)
    assert all(seen.is_new(f"prompt number {i}") for i in range(n))
    assert seen._sorted.nbytes == 8 * n and not seen._recent
    assert not any(seen.is_new(f"prompt number {i}") for i in range(0, n, 501))


def planned(demo_tools, tool, **surfaces):
    """A call of given (value, surface)s."""
    found = next(t for t in demo_tools if t.name == tool)
    return [PlannedCall(found, {k: Value(v, s, k) for k, (v, s) in surfaces.items()})]


def test_a_text_that_gives_more_than_planned_is_leaking(demo_tools):
    light = next(t for t in demo_tools if t.name == "set_light")
    sampler = Sampler(1, "train")
    values = {n: sampler.sample(n, light.properties[n]) for n in ("room", "state")}
    words = f"{values['state'].surface} with the lights in the {values['room'].surface}"
    call = [PlannedCall(light, values)]
    assert not leak_of(words, call)
    assert leak_of(words + " at 40 percent", call) and leak_of(words + " with full brightness", call)


BOOK = ToolDefinition(
    "book_table",
    "Reserve a table at a restaurant.",
    {
        "type": "object",
        "properties": {
            "restaurant": {"type": "string"},
            "guests": {"type": "integer"},
            "seating": {"type": "string", "enum": ["indoor", "outdoor", "bar_counter"]},
            "cuisine": {"type": "string"},
            "bookedBy": {"type": "string"},
        },
        "required": ["restaurant", "guests"],
    },
)
TABLE = [
    PlannedCall(
        BOOK,
        {"restaurant": Value("Luigi's", "Luigi's", "org"), "guests": Value(4, "four", "count")},
    )
]


@pytest.mark.parametrize(
    "text",
    [
        "Book a table at Luigi's for four",
        "I'm starving, get us into luigi's, table for 4 please",
        "Hi! Four of us want to eat at Luigi's. Thanks",
    ],
)
def test_a_text_with_the_plan_and_no_more_is_kept(text):
    assert fault_of(text, TABLE) == "" and leak_of(text, TABLE) == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Book a table at Luigi's for forty", "an argument is not in the prompt"),
        ("Book a table at Luigi's for 14", "an argument is not in the prompt"),
        ("Book a table at Luigis for four", "an argument is not in the prompt"),
        ("A table at Luigi's for four at seven", "a number that was not planned"),
        ("A table at Luigi's for four on Friday", "a date or time that was not planned"),
        ("A table at Luigi's for four, next week", "a date or time that was not planned"),
        ("A table at Luigi's for four with Sam", "a name that was not planned"),
        ("a table at luigi's in lisbon for four", "a name that was not planned"),
        ("an outdoor table at Luigi's for four", "hints at an argument that was left out"),
        ("a bar counter table at Luigi's for four", "hints at an argument that was left out"),
        ("A table at Luigi's for four, any seating", "hints at an argument that was left out"),
        ("we fancy italian, so Luigi's for four", "hints at an argument that was left out"),
        ("book_table at Luigi's for four", "names a tool or parameter"),
        ("Luigi's for four, bookedBy me", "names a tool or parameter"),
        ('{"restaurant": "Luigi\'s", "guests": 4}', "names a tool or parameter"),
        ("- restaurant: Luigi's\n- guests: four", "not one person's message"),
        ("I've found a table at Luigi's for four", "not one person's message"),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(text, fault):
    assert (fault_of(text, TABLE) or leak_of(text, TABLE)) == fault


LAMP = ToolDefinition(
    "control_light",
    "Turn a light on or off, or open its blind.",
    {
        "type": "object",
        "properties": {
            "room": {"type": "string"},
            "state": {"type": "string", "enum": ["on", "off", "open"]},
            "people": {"type": "integer"},
            "time": {"type": "string"},
        },
        "required": ["room"],
    },
)


@pytest.mark.parametrize(
    ("text", "given", "kept"),
    [
        ("Turn on the lounge light", {}, False),
        ("Turn the lounge light on.", {}, False),
        ("lounge light off please", {}, False),
        ("open the lounge one", {}, False),
        ("something about the light on the wall in the lounge", {}, True),
        ("turn off the lounge light on the wall", {"state": ("off", "off")}, True),
        ("turn the lounge light off, the one on the table", {"state": ("on", "on")}, False),
        ("lounge light off in an hour", {"state": ("off", "off")}, False),
        ("lounge light off after work", {"state": ("off", "off")}, False),
        ("lounge light for the party at 5 pm", {"people": (5, "5"), "time": ("17:00", "5 pm")}, False),
        ("lounge light for 5 at 5 pm", {"people": (5, "5"), "time": ("17:00", "5 pm")}, True),
    ],
)
def test_a_value_that_nobody_planned_is_not_said_in_small_words_either(text, given, kept):
    values = {"room": ("lounge", "lounge"), **given}
    call = [PlannedCall(LAMP, {k: Value(v, s, k) for k, (v, s) in values.items()})]
    assert bool(fault_of(text, call) or overlap_of(text, call) or leak_of(text, call)) is not kept


def test_the_splits_share_no_prompt_of_a_model_with_few_ways_to_say_it(endpoint):
    kind, url = endpoint
    kind.answer = staticmethod(lambda prompt: " ".join(values_in(prompt)) + " light")
    rooms = {
        "room": {"type": "string", "enum": ["kitchen", "hall", "attic"]},
        "state": {"type": "string", "enum": ["on", "off"]},
    }
    light = ToolDefinition(
        "set_light", "Sets a light.", {"type": "object", "properties": rooms, "required": ["room", "state"]}
    )
    generator = SyntheticDataGenerator([light], TrainingConfig(), writer=LLMWriter(url, "m", timeout=10))
    made = {split: generator.generate(20, split, shares=SINGLE) for split in ("test", "validation", "train")}
    generator.writer.close()
    prompts = [{c.prompt.lower() for c in conversations} for conversations in made.values()]
    assert writers_of(made["test"]).keys() != {"builtin"}
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(prompts, 2))


def test_a_model_that_is_cut_off_now_and_then_is_asked_again(endpoint, demo_tools):
    asked = itertools.count()

    def wordy(prompt):
        if next(asked) < 7:
            return b'{"choices": [{"message": {"content": "a"}, "finish_reason": "length"}]}'
        return good(prompt)

    made, rejects, name = written_with(endpoint, demo_tools, wordy, count=24)
    assert writers_of(made).get(name, 0) > 4 and not any("asked no more" in reason for reason in rejects)


def test_values_may_be_said_in_other_ways(demo_tools):
    tool = ToolDefinition(
        "pack", "Pack things.", {"things": {"type": "array", "items": {"type": "string"}}, "kg": {"type": "integer"}}
    )  # fmt: skip
    call = [
        PlannedCall(
            tool, {"things": Value(["tea", "milk"], "tea and milk", "item"), "kg": Value(1200, "1200", "number")}
        )
    ]  # fmt: skip
    assert not fault_of("pack some milk, then tea, 1,200 of it", call)
    assert fault_of("pack some milk, 1200 of it", call) == "an argument is not in the prompt"
    off = planned(demo_tools, "set_light", room=("kitchen", "kitchen"), state=("off", "off"))
    assert not fault_of("kitchen lights off", off) and not leak_of("kitchen lights off", off)


def test_a_users_own_writer_may_return_none_or_a_reason(demo_tools):
    class Moody:
        name = "moody"

        def write(self, calls, *, chain=False):
            return [None, "not today", Written("hm", "hm")][len(calls[0].values) % 3]

    generator = SyntheticDataGenerator(demo_tools, TrainingConfig(), writer=Moody())
    assert writers_of(generator.generate(30, "train", shares={"optional": 0.5, "single": 0.5})) == {"builtin": 30}  # fmt: skip
    reasons = {k.removeprefix("text by moody: ") for k in generator.rejects if k.startswith("text by moody")}
    assert reasons == {"no text", "not today", "an argument is not in the prompt"}


def test_generated_files_say_who_wrote_what(endpoint, demo_tools, tmp_path, capsys):
    kind, url = endpoint
    kind.answer = staticmethod(good)
    config = TrainingConfig(
        writer="llm", writer_url=url, writer_model="good", num_synthetic_examples=12, num_validation_examples=5,
        num_test_examples=5, output_dir=str(tmp_path / "o"),
    )  # fmt: skip
    folder = generate_data(config, demo_tools)
    train = read_conversations(folder / "train.jsonl")
    said = " ".join(capsys.readouterr().out.split())
    assert Counter(c.meta["writer"] for c in train)[f"good at {url.removesuffix('/v1')}"] >= 3
    assert "used as writer" in said and "by good at" in said


async def test_a_model_found_unfit_is_not_asked_again(endpoint, demo_tools):
    kind, url = endpoint
    kind.answer = staticmethod(lambda prompt: "")
    first = TrainingConfig(writer="llm", writer_url=url)
    generator = SyntheticDataGenerator(demo_tools, first)
    nowhere = TrainingConfig(writer="llm", writer_url=f"http://127.0.0.1:{free_port()}/v1")
    for config in (first, nowhere):  # a second probe would find nobody there, and say so
        async with language_model(config, generator, lambda name: pytest.fail("no server")):
            assert generator.writer is None and len(generator.generate(5, "train")) == 5
    assert kind.prompts and len(generator.notes) == 1


@pytest.mark.slow
def test_the_embedded_model_is_found_unfit_and_the_run_goes_on(smollm, demo_tools, tmp_path, capsys):
    """A real llama.cpp server with the 135M model: too weak to say what it is told, and nothing else."""
    config = TrainingConfig(
        writer="llm", llama_cpp_model_path=str(smollm), num_synthetic_examples=20, num_validation_examples=5,
        num_test_examples=5, output_dir=str(tmp_path / "o"),
    )  # fmt: skip
    folder = generate_data(config, demo_tools)
    said = " ".join(capsys.readouterr().out.split())
    assert "probe texts verified" in said and "found unfit, so the built-in writer writes" in said
    assert writers_of(read_conversations(folder / "train.jsonl")) == {"builtin": 20}
    assert "20 conversations (20 by builtin)" in said
