"""Adapters made from tool definitions alone, asked what real people wrote.

For each belt: the product's adapter (definitions and the built-in writer only), and as yardstick an *oracle* adapter, same
trainer, real prompts of the first half of the cases. Both, and the base, are scored on the second half.

    python benchmarks/real_prompts.py --data DIR                   # served by llama.cpp, one table
    python benchmarks/real_prompts.py --data DIR --quick           # teacher-forced arg-max in PyTorch: seconds, for development
    python benchmarks/real_prompts.py --data DIR --belts snips --engines ours --seeds 1,2,3 --set num_synthetic_examples=1000

DIR holds a folder a belt with `tools.json` and `cases.jsonl`: a line a case, `messages` and `expected` calls with accepted values.
`examples/belts` is one; `bfcl_belts.py` makes another.
The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from auto_lora import (
    Conversation,
    LlamaCppClient,
    LoRATrainer,
    SyntheticDataGenerator,
    ToolCallingDataset,
    ToolDefinition,
    TrainingConfig,
    load_tools,
)
from auto_lora._base_model import load_base
from auto_lora._progress import Reporter
from auto_lora._settings import flags, parse_text
from auto_lora._toolcall import ToolCall, match_calls, normal_text, same_value
from auto_lora.dialogues import vary
from auto_lora.dialogues.verify import stands
from auto_lora.encode import ChatTemplate
from auto_lora.gguf_export import export_adapter
from auto_lora.model_source import embedded_model
from auto_lora.rehearsal import rehearse
from auto_lora.score import error_of, gather, proportion

REFUSAL = "I have no tool for that."
Rule = Callable[[str], str]  # what is compared of a text
MEASURES = ("tool", "exact", "left_out", "not_made_up", "must_call", "no_call")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--belts", default="")
    parser.add_argument("--engines", default="base,oracle,ours")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of ours")
    parser.add_argument(
        "--adapters", type=Path, help="keep the adapters here; one that is there is not trained again"
    )
    parser.add_argument(
        "--synthetic", type=int, default=0, help="conversations of the writer's test split to score as well"
    )
    parser.add_argument("--without", default="", help="parts of the writer to switch off: see without.py")
    parser.add_argument("--show", type=int, default=0, help="wrong cases to print (development half only)")
    parser.add_argument(
        "--half",
        choices=("first", "second"),
        default="second",
        help="cases to score; first only while developing",
    )
    args = parser.parse_args()
    if args.without:
        from without import PARTS, switch_off

        names = args.without.split(",")
        if unknown := set(names) - PARTS.keys():
            parser.error(f"--without: no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        switch_off(names)
    belts = (
        args.belts.split(",")
        if args.belts
        else sorted(p.parent.name for p in args.data.glob("*/cases.jsonl"))
    )
    rows = []
    for belt in belts:
        for engine in args.engines.split(","):
            for seed in map(int, args.seeds.split(",") if engine != "base" else ["1"]):
                rows.append(run(args, args.data / belt, engine, seed))
                show(rows[-1])
    print(json.dumps({"rows": rows}))


def run(args: argparse.Namespace, belt: Path, engine: str, seed: int) -> dict[str, Any]:
    tools = load_tools(belt / "tools.json")
    config = settings(args.set, seed=seed).for_tools(tools)
    entries = tuple(t.to_openai() for t in tools)
    rows = [json.loads(line) for line in (belt / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(rows)
    halves = {"first": rows[: len(rows) // 2], "second": rows[len(rows) // 2 :]}
    cases = halves[args.half]
    rule = as_bfcl if belt.name.startswith("bfcl") else letters_and_digits
    order = {t.name: t for t in tools}
    base = load_base(config)
    template = ChatTemplate(base.tokenizer)
    started = time.monotonic()
    kept = args.adapters / f"{belt.name}-{engine}-{seed}" if args.adapters else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(kept or temporary)
        adapter = Path(folder) / "adapter.gguf"
        if engine == "base":
            adapter = None
        elif not adapter.exists():
            if engine == "oracle":
                train = [conversation(r, entries, order) for r in halves["first"]]
                config.num_epochs = 8
            else:
                count = config.num_synthetic_examples
                made = SyntheticDataGenerator(tools, config).training(count)
                own = rehearse(base, template, config, Path(folder) / "own_answers.json")
                train = [*vary(made, tools, config, seed), *own]
            # The oracle is kept as it is after its last epoch: by what is written for ours it would be stopped after the first.
            held = (
                train[:24]
                if engine == "oracle"
                else SyntheticDataGenerator(tools, config).generate(24, "validation")
            )
            reporter = Reporter() if sys.stderr.isatty() else None
            LoRATrainer(config, base, reporter).train(
                *(ToolCallingDataset(c, template, activated=config.activated) for c in (train, held)), folder
            )
            export_adapter(Path(folder), config.llama_cpp_model_path, adapter)
        trained = time.monotonic() - started
        own = synthetic(tools, config, args.synthetic)

        def judged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            if not args.quick:
                return asyncio.run(served(config, adapter, template, rows, entries, rule))
            asked = [conversation(r, entries, order) for r in rows]
            return forced(config, base, folder if adapter else None, asked, template)

        verdicts, of_writer = judged(cases), judged(own) if own else []
    if args.show and args.half == "first":
        for case, verdict in [p for p in zip(cases, verdicts, strict=True) if not p[1]["exact"]][: args.show]:
            said = " ".join(verdict["raw"].split())
            print("  ", case["messages"][-1]["content"], "|", json.dumps(case["expected"]), "|", said)
    return {
        "belt": belt.name, "engine": engine, "seed": seed, "cases": len(cases), "train_seconds": round(trained, 1),
        **{m: share_of(verdicts, m) for m in MEASURES},
        **({"synthetic": share_of(of_writer, "exact"), "synthetic_by_category": by_category(own, of_writer)} if own else {}),
    }  # fmt: skip


def settings(given: list[str], **ours: Any) -> TrainingConfig:
    """The embedded model and no dropout, then `ours`, then what `--set NAME=VALUE` gives."""
    fields, pairs = {f.name: f for f in flags()}, dict(s.split("=", 1) for s in given)
    typed = {n: parse_text(fields[n], text) if n in fields else text for n, text in pairs.items()}
    fixed = {"llama_cpp_model_path": str(embedded_model()), "lora_dropout": 0.0}
    return TrainingConfig.from_dict({**fixed, **ours, **typed})


def share_of(verdicts: list[dict[str, Any]], measure: str) -> dict[str, Any]:
    values = [v[measure] for v in verdicts if v[measure] is not None]
    return proportion(sum(values), len(values))


def by_category(cases: list[dict[str, Any]], verdicts: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Exact answers and cases of each category."""
    found: dict[str, list[int]] = {}
    for case, judged in zip(cases, verdicts, strict=True):
        count = found.setdefault(case["category"], [0, 0])
        count[0] += judged["exact"]
        count[1] += 1
    return found


def synthetic(tools: list[ToolDefinition], config: TrainingConfig, count: int) -> list[dict[str, Any]]:
    """The first turns of conversations of the writer's test split, as cases."""
    made = SyntheticDataGenerator(tools, config).generate(count, "test") if count else []
    turns = [(c, c.scored_turns()[0]) for c in made]
    return [
        {
            "id": c.id, "category": c.category, "messages": list(turn.history),
            "expected": [{"name": e.name, "arguments": {k: [v] for k, v in e.arguments.items()}, "optional": []} for e in turn.expected],
        }
        for c, turn in turns
    ]  # fmt: skip


def show(row: dict[str, Any]) -> None:
    parts = [
        f"{m} {row[m]['count']}/{row[m]['of']} = {row[m]['share']:.3f} [{row[m]['low']:.2f}-{row[m]['high']:.2f}]"
        for m in (*MEASURES, "synthetic")
        if row.get(m, {"of": 0})["of"]
    ]
    if "synthetic_by_category" in row:
        parts.append(
            ", ".join(f"{c} {n}/{of}" for c, (n, of) in sorted(row["synthetic_by_category"].items()))
        )
    print(
        f"{row['belt']:8} {row['engine']:7} seed {row['seed']}  {row['train_seconds']:6.0f} s  "
        + "  ".join(parts),
        flush=True,
    )


def conversation(row: dict[str, Any], entries: tuple[Any, ...], tools: dict[str, Any]) -> Conversation:
    """A real case as a training conversation: the first accepted value of each argument that may not be left out."""
    calls = []
    for i, call in enumerate(row["expected"]):
        given = {k: v[0] for k, v in call["arguments"].items() if k not in call["optional"]}
        values = tools[call["name"]].order_arguments(given)
        calls.append(ToolCall(call["name"], values).to_message(f"call{i:05d}"))
    answer: dict[str, Any] = {"role": "assistant", "content": "" if calls else REFUSAL}
    if calls:
        answer["tool_calls"] = calls
    return Conversation(row["id"], row.get("category", "single"), (*row["messages"], answer), entries, {})


# Served: what a user gets.


async def served(
    config: TrainingConfig,
    adapter: Path | None,
    template: ChatTemplate,
    cases: list[Any],
    entries: tuple[Any, ...],
    rule: Rule,
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chat_template.jinja"
        file.write_text(template.text, encoding="utf-8")
        longest = max(
            len(template.encode(template.render(c["messages"], entries, prompt=True))) for c in cases
        )
        client = LlamaCppClient(
            config.llama_cpp_model_path, adapter_path=adapter, chat_template_file=file, context=longest + 256,
            parallel=config.slots, log_path=Path(folder) / "server.log",
        )  # fmt: skip
        slots = asyncio.Semaphore(config.slots)

        async def one(case: dict[str, Any]) -> dict[str, Any]:
            async with slots:
                reply = await client.chat(case["messages"], entries, max_tokens=160)
            said, error = case["messages"][-1]["content"], error_of(reply, case["expected"])
            return verdict(case["expected"], reply.calls, reply.raw, said, error, rule)

        async with client:
            first = await one(cases[0])
            return [first, *await gather([one(c) for c in cases[1:]])]


def letters_and_digits(text: str) -> str:
    """The rule of HWU's and snips' cases: without case; of a text that has neither (an operator) the text itself."""
    return "".join(c for c in normal_text(text).casefold() if c.isalnum()) or normal_text(text)


def as_bfcl(text: str) -> str:
    """BFCL's own rule (`standardize_string` of its AST checker): without case and some punctuation."""
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


def agrees(accepted: Any, got: Any, rule: Rule = letters_and_digits) -> bool:
    """Strings by their set's rule, numbers by value, true only with true, lists in order, objects by key."""
    if isinstance(accepted, str) and isinstance(got, str):
        return rule(accepted) == rule(got)
    if isinstance(accepted, list) and isinstance(got, list):
        return len(accepted) == len(got) and all(
            agrees(a, g, rule) for a, g in zip(accepted, got, strict=True)
        )
    if isinstance(accepted, dict) and isinstance(got, dict):
        return accepted.keys() == got.keys() and all(agrees(v, got[k], rule) for k, v in accepted.items())
    return same_value(accepted, got)


def nothing_added(rule: dict[str, Any], call: ToolCall) -> bool:
    return all(k in rule["arguments"] or k in rule.get("optional", []) for k in call.arguments)


def is_said(value: Any, text: str) -> bool:
    """Whether a value's own words stand in a text; of a list or object, those of every part."""
    if isinstance(value, (list, dict)):
        return all(is_said(v, text) for v in (value.values() if isinstance(value, dict) else value))
    return stands(str(value), normal_text(text))


def made_up(rule: dict[str, Any], call: ToolCall, said: str) -> bool:
    """Whether a call gives an argument that is not expected and whose words nobody said."""
    known = {*rule["arguments"], *rule.get("optional", [])}
    return any(k not in known and not is_said(v, said) for k, v in call.arguments.items())


def fits(expected: dict[str, Any], call: ToolCall, rule: Rule) -> bool:
    """Whether a call is the expected one: each value an accepted one, nothing missing and nothing added."""
    return (
        expected["name"] == call.name
        and nothing_added(expected, call)
        and all(
            any(agrees(v, call.arguments[k], rule) for v in values)
            if k in call.arguments
            else k in expected.get("optional", [])
            for k, values in expected["arguments"].items()
        )
    )


def one_to_one(expected: list[dict[str, Any]], calls: list[ToolCall], rule: Rule) -> bool:
    if not expected or not calls:
        return not expected and not calls
    return any(
        fits(expected[0], c, rule) and one_to_one(expected[1:], calls[:i] + calls[i + 1 :], rule)
        for i, c in enumerate(calls)
    )


def verdict(
    expected: list[dict[str, Any]],
    calls: Any,
    raw: str,
    said: str = "",
    error: str = "",
    rule: Rule = letters_and_digits,
) -> dict[str, Any]:
    """By the rule of the sets: the same calls one to one, an accepted value for each argument, others absent.

    Args:
        said: the request, in which the words of an added argument may stand.
        error: of a malformed or cut call, which is no right answer, whatever else there is.
        rule: what of a text is compared.
    """
    if not expected:
        silent = not calls and not error
        return {
            "tool": None,
            "exact": silent,
            "left_out": None,
            "not_made_up": None,
            "must_call": None,
            "no_call": silent,
            "raw": raw,
        }
    wanted = [ToolCall(e["name"], {k: v[0] for k, v in e["arguments"].items()}) for e in expected]
    tool = not error and Counter(c.name for c in wanted) == Counter(c.name for c in calls)
    rules = {id(w): e for w, e in zip(wanted, expected, strict=True)}
    pairs = [(rules[id(want)], got) for want, got in match_calls(wanted, calls)] if tool else []
    return {
        "tool": tool,
        "exact": not error and one_to_one(expected, list(calls), rule),
        "left_out": all(nothing_added(*pair) for pair in pairs) if tool else None,
        "not_made_up": not any(made_up(*pair, said) for pair in pairs) if tool else None,
        "must_call": bool(calls),
        "no_call": None,
        "raw": raw,
    }


# Quick: the same questions, answered by arg-max under teacher forcing.


def last_run(positions: list[int]) -> list[int]:
    """The tokens of the last assistant turn; the turns before it are context."""
    gaps = [i for i in range(1, len(positions)) if positions[i] != positions[i - 1] + 1]
    return positions[gaps[-1] if gaps else 0 :]


def forced(
    config: TrainingConfig, base: Any, folder: str | None, cases: list[Conversation], template: ChatTemplate
) -> list[dict[str, Any]]:
    """Exact when every token of the (first accepted) answer is the arg-max: what greedy decoding would write."""
    import torch

    from auto_lora._activation import BasePrefixes, attached
    from auto_lora._shared_prefix import PrefixPass, last_hidden

    model, prefixes = base.model, BasePrefixes()
    start = template.pieces("<tool_call>")[0]
    found: dict[str, dict[str, Any]] = {}
    with attached(model, folder) if folder else nullcontext((None, ())) as (_, invocation), torch.no_grad():
        model.eval()
        dataset = ToolCallingDataset(cases, template, activated=bool(invocation))
        for group in dataset.groups:
            made = PrefixPass()
            if not invocation:
                last_hidden(model, torch.tensor([group.prefix]), torch.arange(len(group.prefix))[None], made)
            shared = prefixes.of(model, group.prefix) if invocation else made.leaves(False)
            ordered = sorted(group.examples, key=lambda e: len(e))
            for i in range(0, len(ordered), 8):
                part, skip = ordered[i : i + 8], len(group.prefix)
                ids = torch.zeros(len(part), max(len(e) for e in part) - skip, dtype=torch.long)
                for row, e in enumerate(part):
                    ids[row, : len(e) - skip] = torch.tensor(e.ids[skip:])
                places = torch.arange(skip, skip + ids.shape[1]).expand_as(ids)
                best = model.get_output_embeddings()(last_hidden(model, ids, places, shared)).argmax(-1)
                for row, e in enumerate(part):
                    at = last_run([n for n, t in enumerate(e.target) if t])
                    right = [int(best[row, n - skip - 1]) == e.ids[n] for n in at]
                    said = template.tokenizer.decode([int(best[row, n - skip - 1]) for n in at])
                    first = int(best[row, at[0] - skip - 1])
                    names = next(
                        (
                            k
                            for k in range(len(at))
                            if "arguments" in template.tokenizer.decode([e.ids[n] for n in at[: k + 1]])
                        ),
                        len(at) - 1,
                    )
                    calls = e.ids[at[0]] == start
                    found[e.conversation_id] = {
                        "tool": all(right[: names + 1]) if calls else None, "exact": all(right) if calls else first != start, "left_out": None, "not_made_up": None,
                        "must_call": first == start if calls else None, "no_call": None if calls else first != start, "raw": said,
                    }  # fmt: skip
    return [found[c.id] for c in cases]


if __name__ == "__main__":
    main()
