"""Scoring, error classes, the next round's plan, the last screen."""

from __future__ import annotations

import io
import json
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from auto_lora._conversation import Conversation, write_conversations
from auto_lora._errors import ServerError
from auto_lora._progress import Quiet
from auto_lora._runs import write_json
from auto_lora._settings import LOWEST_RATE, TrainingConfig
from auto_lora._toolcall import ToolCall
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.planner import Focus
from auto_lora.handover import headline, judge_success, model_card, print_screen, serve_command
from auto_lora.llama_server import ChatReply
from auto_lora.score import CaseResult, Evaluation, ToolCallEvaluator, mcnemar, proportion, score_turn
from auto_lora.score_forgetting import PlainAnswer
from auto_lora.score_pair import Answers, Examiner, compare
from auto_lora.score_resumed import keep_answers, kept_answers
from auto_lora.triage import ERROR_CLASSES, RoundPlan, analyse, faults_of, next_lesson, plan_next_round

ON = ToolCall("set_light", {"room": "kitchen", "state": "on"})
OFF = ToolCall("set_light", {"room": "office", "state": "off"})
WARM = ToolCall("set_thermostat", {"room": "office", "temperature": 21})


@pytest.fixture
def tools(demo_tools):
    room = {"type": "string", "enum": ["kitchen", "office"]}
    warm = ToolDefinition(
        "set_thermostat", "Set the temperature.", {"room": room, "temperature": {"type": "number"}}
    )
    return {t.name: t for t in [*demo_tools, warm]}


def kinds(expected, predicted, tools, error=""):
    return [f.kind for f in faults_of(score_turn(expected, predicted, "", error), tools)]


def test_each_error_class(tools):
    cases = {
        "invalid_json": ([ON], [], "invalid_json"),
        "truncated": ([ON], [], "truncated"),
        "missed_call": ([ON], [], ""),
        "unexpected_call": ([], [ON], ""),
        "wrong_tool": ([ON], [WARM], ""),
        "unknown_tool": ([ON], [ToolCall("lights", {})], ""),
        "missing_argument": ([ON], [ToolCall("set_light", {"room": "kitchen"})], ""),
        "extra_argument": ([ON], [ToolCall("set_light", {**ON.arguments, "brightness": 5})], ""),
        "wrong_type": ([WARM], [ToolCall("set_thermostat", {"room": "office", "temperature": "21"})], ""),
        "wrong_value": ([WARM], [ToolCall("set_thermostat", {"room": "office", "temperature": 22})], ""),
    }
    assert tuple(cases) == ERROR_CLASSES
    for kind, (expected, predicted, error) in cases.items():
        assert kinds(expected, predicted, tools, error) == [kind]


def test_parallel_calls_match_in_any_order_and_report_each_fault(tools):
    assert score_turn([ON, OFF, WARM], [WARM, OFF, ON], "", "").exact
    assert kinds([ON, OFF], [OFF], tools) == ["missed_call"]
    assert kinds([ON], [ON, ON], tools) == ["unexpected_call"]
    part = score_turn(
        [ON, WARM], [ON, ToolCall("set_thermostat", {"room": "office", "temperature": 3})], "", ""
    )
    assert part.tool and part.argument_names and not part.argument_values and not part.exact


def test_silence_is_exact_only_where_no_call_is_due():
    assert score_turn([], [], "hi", "").exact and not score_turn([ON], [], "hi", "").exact
    assert not score_turn([], [], "<tool_call>", "truncated").exact


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_interval_holds_the_share(count, extra):
    part = proportion(count, count + extra)
    assert 0 <= part["low"] <= part["share"] <= part["high"] <= 1 and part["count"] == count


def test_wilson_against_a_known_value():
    # Newcombe 1998, table I: 81/263 -> 0.2553 to 0.3662.
    part = proportion(81, 263)
    assert math.isclose(part["low"], 0.2553, abs_tol=1e-4) and math.isclose(
        part["high"], 0.3662, abs_tol=1e-4
    )


def case(name, category, expected, predicted, error="", **meta):
    messages = ({"role": "user", "content": name}, {"role": "assistant", "content": "x"})
    conversation = Conversation(name, category, messages, (), meta)
    return CaseResult(conversation, (score_turn(expected, predicted, "raw", error),))


def evaluation(name, hits):
    """Ten single cases and four no-call cases; `hits` of each are right."""
    single, silent = hits
    cases = [case(f"s{i}", "single", [ON], [ON] if i < single else []) for i in range(10)]
    return Evaluation(
        name, cases + [case(f"n{i}", "no_call", [], [] if i < silent else [ON]) for i in range(4)]
    )


def test_summary_keeps_must_call_and_no_call_apart():
    summary = evaluation("m", (7, 1)).summary()
    assert summary["must_call"]["count"] == 7 and summary["must_call"]["of"] == 10
    assert summary["no_call"]["count"] == 1 and summary["no_call"]["of"] == 4
    assert (
        summary["by_category"]["single"]["exact"]["share"] == 0.7
        and summary["overall"]["exact"]["count"] == 8
    )


def test_mcnemar_is_the_exact_binomial_test():
    test = mcnemar(evaluation("a", (0, 4)), evaluation("b", (8, 2)))
    assert (test["gained"], test["lost"]) == (8, 2) and math.isclose(test["p"], 0.109375)
    assert mcnemar(evaluation("a", (3, 3)), evaluation("b", (3, 3)))["p"] == 1.0


def test_the_test_can_be_made_of_two_summaries():
    first, second = evaluation("a", (6, 4)).summary(), evaluation("b", (8, 2)).summary()
    assert first["failed"] == ["s6", "s7", "s8", "s9"] and second["failed"] == ["s8", "s9", "n2", "n3"]


def verdict(before, after):
    a, b = evaluation("a", before), evaluation("b", after)
    return judge_success(a.summary(), b.summary(), mcnemar(a, b))


def test_success_is_more_exact_cases_without_giving_no_call_away():
    assert verdict((0, 4), (9, 4))[0] and verdict((0, 4), (9, 3))[0]
    assert not verdict((0, 4), (3, 4))[0] and not verdict((5, 4), (5, 4))[0]
    assert not verdict((9, 4), (0, 4))[0]
    assert not verdict((0, 4), (10, 0))[0]


def cases_of(called, exact, silent, of=40, quiet=20):
    """`of` cases that need a call, of which `called` get one and `exact` the right one; `quiet` that need none."""
    wrong = ToolCall("set_light", {"room": "attic"})
    answers = [[ON] if i < exact else [wrong] if i < called else [] for i in range(of)]
    cases = [case(f"s{i}", "single", [ON], answer) for i, answer in enumerate(answers)]
    return Evaluation(
        "m", cases + [case(f"n{i}", "no_call", [], [] if i < silent else [ON]) for i in range(quiet)]
    )


@pytest.mark.parametrize(
    ("base", "adapter", "success", "why"),
    [
        # A base that calls everywhere, an adapter that never does: all it gains is silence.
        (cases_of(40, 0, 0), cases_of(0, 0, 20), False, "calls less often where a call is due (0/40"),
        (cases_of(40, 10, 18), cases_of(39, 39, 18), False, "calls less often where a call is due (39/40"),
        (cases_of(40, 10, 18), cases_of(40, 38, 18), True, ""),
        # A base that calls is right on no-call by merit: what the adapter loses of it counts.
        (cases_of(36, 10, 19), cases_of(40, 38, 13), False, "calls tools where none is due (13/20"),
        # A base that never calls is right on no-call by silence: three quarters of it are enough.
        (cases_of(0, 0, 20), cases_of(40, 30, 15), True, ""),
        (cases_of(0, 0, 20), cases_of(40, 38, 9), False, "calls tools where none is due (9/20"),
    ],
)
def test_success_needs_calls_where_due_and_silence_where_not(base, adapter, success, why):
    found, reason = judge_success(base.summary(), adapter.summary(), mcnemar(base, adapter))
    assert found is success and (why in reason if why else not reason)


def test_what_is_no_success_is_said_and_why(tmp_path):
    metrics = compare(cases_of(40, 10, 18), cases_of(39, 39, 18)) | {"test_writer": "w", "serve_command": "s"}
    assert not metrics["success"]
    assert "not better than its base: it calls less often where a call is due" in headline(metrics)
    out = io.StringIO()
    print_screen(Console(file=out, width=400), metrics, tmp_path)
    assert headline(metrics) in out.getvalue()


def forgot(kl_per_token: float | None, degenerate: int) -> dict:
    """Of 16 ordinary answers; one of the base's is degenerate, too."""
    spoiled, base = proportion(degenerate, 16), proportion(1, 16)
    return {"kl_per_token": kl_per_token, "degenerate": spoiled, "degenerate_base": base}


@pytest.mark.parametrize(
    ("forgetting", "success"),
    [
        (None, True),
        (forgot(None, 0), True),
        (forgot(0.9, 5), True),
        (forgot(1.1, 0), False),
        (forgot(0.9, 6), False),
    ],
)
async def test_an_adapter_that_forgets_too_much_is_no_success(forgetting, success):
    base, adapter = Answers(cases_of(40, 10, 18), {}), Answers(cases_of(40, 38, 18), {})
    config = TrainingConfig(max_forgetting_kl=1.0)
    test = [c.conversation for c in base.test.cases]
    found = await Examiner(config, test, [], Quiet()).figures(base, adapter, forgetting, pytest.fail)
    assert found["success"] is success and ("ordinary prompts are" in found["verdict"]) is not success
    assert found["forgetting"] == forgetting and found["answers"] is None and found["quality"] is None


def test_analysis_and_plan_aim_at_what_failed(demo_tools):
    bad = ToolCall("set_light", {"room": "kitchen", "state": "off"})
    cases = [case(f"c{i}", "single", [ON], [bad if i < 3 else ON]) for i in range(10)] + [
        case("n", "no_call", [], [])
    ]
    scored = Evaluation("m", cases)
    analysis = analyse(scored, demo_tools)
    assert analysis["failed_cases"] == 3 and analysis["by_class"] == {"wrong_value": 3}
    assert analysis["by_parameter"] == {"set_light.state": 3}
    assert set(analysis["failures"][0]) >= {
        "prompt",
        "expected_calls",
        "predicted_calls",
        "raw_text",
        "error_class",
    }
    config = TrainingConfig(num_synthetic_examples=100)
    plan = plan_next_round(scored, analysis, config)
    assert plan.new_examples == 25 and plan.focus.tools == {"set_light": 0.75}  # 3 x 3 / (10 + 2)
    assert (
        plan.shares["single"] / plan.shares["no_call"]
        > config.category_shares["single"] / config.category_shares["no_call"]
    )
    alone = TrainingConfig(training_shares={"single": 1.0})
    assert set(plan_next_round(scored, analysis, alone).shares) == {"single"}, (
        "training's own shares, where it has some"
    )
    assert RoundPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_what_was_called_too_much_is_not_asked_for_more(demo_tools):
    chatty = ToolCall("set_light", {**ON.arguments, "brightness": 5})
    cases = [case("a", "single", [ON], [chatty]), case("n", "no_call", [], [ON], shape="translate/17")]
    scored = Evaluation("m", cases)
    focus = plan_next_round(scored, analyse(scored, demo_tools), TrainingConfig()).focus
    # The surplus argument counts for its tool alone, the call that was not due for its topic alone.
    assert focus.parameters == {} and focus.tools == {"set_light": 1.0} and focus.topics == {"translate": 3.0}


class Model:
    """A served model at the outer boundary: answers by prompt."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    async def chat(self, messages, tools=(), **params):
        self.asked.append(messages)
        return self.answers(messages)


def reply(*calls, text="", error="", finish="stop"):
    return ChatReply(tuple(calls), text, text, error, finish)


def conversation(name, expected):
    calls = [c.to_message(f"id{i:07d}") for i, c in enumerate(expected)]
    asked = (
        {"role": "assistant", "content": "", "tool_calls": calls}
        if calls
        else {"role": "assistant", "content": "hello"}
    )
    return Conversation(
        name, "single" if calls else "no_call", ({"role": "user", "content": name}, asked), ()
    )


async def test_evaluator_asks_every_turn_and_keeps_the_order():
    conversations = [conversation(f"p{i}", [ON] if i % 2 else []) for i in range(9)]
    model = Model(lambda m: reply(ON) if m[-1]["content"] != "p3" else reply(text="sorry"))
    scored = await ToolCallEvaluator(conversations, parallel=3).evaluate(model, "m")
    assert [c.conversation.id for c in scored.cases] == [f"p{i}" for i in range(9)] and len(model.asked) == 9
    assert [c.has("exact") for c in scored.cases] == [i % 2 == 1 and i != 3 for i in range(9)]


async def test_the_base_s_answers_are_kept_for_a_resumed_run_and_scored_again(tmp_path):
    conversations = [conversation(f"p{i}", [ON] if i % 2 else []) for i in range(5)]
    model = Model(lambda m: reply(ON) if m[-1]["content"] != "p3" else reply(text="sorry"))
    scored = await ToolCallEvaluator(conversations).evaluate(model, "base")
    plain = [PlainAnswer(({"role": "user", "content": "hi"},), "hello", False, False)]
    path, served = tmp_path / "base_answers.json", {"build": "b1", "bytes": 7}
    assert kept_answers(path, served, conversations, None) is None
    keep_answers(path, served, Answers(scored, {"p1": "done"}), plain)
    kept = kept_answers(path, served, conversations, {"called": lambda c: c.called})
    assert kept is not None
    answers, again = kept
    assert answers.test.cases == scored.cases and answers.closing == {"p1": "done"} and again == plain
    assert answers.test.summary()["metrics"]["called"]["count"] == 4
    assert kept_answers(path, {**served, "build": "b2"}, conversations, None) is None
    assert kept_answers(path, served, conversations[:4], None) is None


async def test_a_call_cut_at_the_token_limit_is_truncated():
    model = Model(lambda m: reply(ON, finish="length"))
    scored = await ToolCallEvaluator([conversation("p", [ON])]).evaluate(model, "m")
    assert scored.cases[0].turns[0].error == "truncated"


async def test_speed_is_that_of_one_request_alone_after_the_scoring():
    class Timed(Model):
        async def render(self, messages, tools):
            return f"prompt {messages[-1]['content']}"

        async def complete(self, prompt, **params):
            self.completed = prompt, params, len(self.asked)
            return {
                "timings": {"prompt_n": 592, "prompt_ms": 1480.0, "predicted_n": 40, "predicted_ms": 300.0}
            }

    model = Timed(lambda m: reply(ON))
    conversations = [conversation(f"p{i}", [ON]) for i in range(3)]
    scored = await ToolCallEvaluator(conversations, max_tokens=40).evaluate(model, "m", timed=True)
    measured = {"prompt_tokens": 592, "prompt": 400.0, "generated_tokens": 40, "generated": 133.33}
    assert scored.summary()["speed"] == measured
    asked = {"n_predict": 40, "ignore_eos": True, "cache_prompt": False}
    assert model.completed == ("prompt p0", asked, 3)


async def test_a_dead_server_stops_the_scoring():
    def dead(messages):
        raise ServerError("gone")

    with pytest.raises(ServerError):
        await ToolCallEvaluator([conversation(f"p{i}", [ON]) for i in range(5)]).evaluate(Model(dead), "m")


def test_last_screen_and_model_card_say_the_same(demo_tools, tmp_path):
    metrics = compare(evaluation("base", (1, 3)), evaluation("base + adapter", (10, 4))) | {
        "test_writer": "the built-in writer", "serve_command": serve_command("b c.gguf", tmp_path, 4096), "quality": None,
        "base_model": "b.gguf", "settings": TrainingConfig().to_dict(), "version": "1",
    }  # fmt: skip
    out = io.StringIO()
    print_screen(Console(file=out, width=140), metrics, tmp_path)
    screen, card = out.getvalue(), model_card(metrics, [t.to_openai() for t in demo_tools])
    for text in (screen, card):
        assert (
            "10/10  100 % [72-100]" in text and "llama-server -m 'b c.gguf'" in text and "not judged" in text
        )
        assert "the test was written by the built-in writer" in " ".join(text.split())
    assert "1/10" in screen and SimpleNamespace(**metrics).success


def test_a_plan_is_read_as_it_was_written():
    """Names may have dots: the tool's and the parameter's."""
    focus = Focus(
        tools={"mail.send": 2.0}, parameters={("mail.send", "filter.name"): 3.0}, topics={"mail": 1.5}
    )
    plan = RoundPlan(8, {"single": 1.0}, focus, ["because"])
    assert RoundPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@given(known=st.integers(0, 12), new=st.integers(0, 12), number=st.integers(2, 4))
def test_a_later_round_trains_on_all_that_is_new_and_as_much_of_the_old(tmp_path_factory, known, new, number):
    folder = tmp_path_factory.mktemp("round")
    made = [case(str(n), "no_call", [], []).conversation for n in range(known + new)]
    write_conversations(folder / "train.jsonl", made[:known])
    write_json(folder / "training.json", {"learning_rate": 1e-3})
    config, lesson = next_lesson(TrainingConfig(), number, made, folder, folder)
    assert (config.init_adapter, config.learning_rate) == (str(folder), 5e-4)
    ids, again = [c.id for c in made], [c.id for c in lesson[new:]]
    assert [c.id for c in lesson[:new]] == ids[known:]
    assert len(again) == len(set(again)) == min(known, new) and set(again) <= set(ids[:known])
    assert lesson == next_lesson(TrainingConfig(), number, made, folder, folder)[1]


def test_half_the_lowest_learning_rate_is_the_lowest(tmp_path):
    write_conversations(tmp_path / "train.jsonl", [])
    write_json(tmp_path / "training.json", {"learning_rate": LOWEST_RATE})
    assert next_lesson(TrainingConfig(), 2, [], tmp_path, tmp_path)[0].learning_rate == LOWEST_RATE
