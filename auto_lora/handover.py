"""What the user gets at the end: the serving command, the model card and the last screen.

Works on the plain figures of `metrics.json`, so that it can be shown again from a finished run.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from auto_lora._runs import read_json

Metrics = Mapping[str, Any]

_ACTIVATED = """
It is an activated LoRA: it acts from the user's first message on, and only where the template lists tools; all else is answered by the
base. llama.cpp knows such adapters since September 2025. Serve it in one slot (`-np 1`): of several requests at once llama.cpp answers
some by the base alone. It cannot be merged into the base. In PEFT it begins to act one token later than here.
"""


def serve_command(base: str | Path, directory: str | Path, context: int) -> str:
    """The llama-server command that serves an adapter folder, as one line for a shell."""
    directory = Path(directory)
    argv = ["llama-server", "-m", str(base), "--lora", str(directory / "adapter.gguf"), "--jinja"]
    if template := template_of(directory):
        argv += ["--chat-template-file", str(template)]
    argv += ["-c", str(context), "--port", "8080"]
    return shlex.join([*argv, *(["-np", "1"] if is_activated(directory) else [])])


def template_of(directory: Path) -> Path | None:
    """The chat template in an adapter folder, or its run's; None: it goes by the base's own."""
    beside = (directory / "chat_template.jinja", directory.parent / "chat_template.jinja")
    return next((path for path in beside if path.is_file()), None)


def is_activated(directory: str | Path) -> bool:
    """Whether an adapter folder's LoRA is an activated one, which llama.cpp serves rightly in one slot only."""
    path = Path(directory) / "adapter_config.json"
    return path.is_file() and bool(read_json(path).get("alora_invocation_tokens"))


def percent(part: Mapping[str, Any]) -> str:
    """`38/40  95 % [83-99]`: count, share and 95 % interval."""
    if not part["of"]:
        return "none asked"
    share, low, high = (round(100 * part[key]) for key in ("share", "low", "high"))
    return f"{part['count']}/{part['of']}  {share} % [{low}-{high}]"


def headline(metrics: Metrics) -> str:
    """One sentence: what base and adapter reached on the frozen test, and whether it is a success."""
    base, adapter = metrics["base"]["overall"]["exact"], metrics["adapter"]["overall"]["exact"]
    test = metrics["mcnemar"]
    sentence = (
        f"Exact on the frozen test: base {percent(base)}, base + adapter {percent(adapter)} "
        f"(gained {test['gained']}, lost {test['lost']}, McNemar p = {test['p']:.2g}); "
        f"the test was written by {metrics['test_writer']}."
    )
    if metrics["success"]:
        return sentence
    return f"{sentence} This adapter is not better than its base: {metrics['verdict']}."


def judge_success(base: Metrics, adapter: Metrics, test: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the adapter beats its base, and why not.

    It must answer more cases exactly (McNemar, p < 0.05), call in no smaller share of the cases that need a call, and not give
    no-call away: its interval lies wholly below the base's share. A base that calls in less than half of the cases that need it
    is right on no-call by silence, which is no feat; beside such a base, half of the no-call cases right are enough.
    """
    if test["gained"] <= test["lost"] or test["p"] >= 0.05:
        return False, f"it gained {test['gained']} cases and lost {test['lost']}"
    before, after = base["must_call"], adapter["must_call"]
    if after["share"] < before["share"]:
        return False, f"it calls less often where a call is due ({percent(after)}, base {percent(before)})"
    silent, kept = base["no_call"], adapter["no_call"]
    enough = silent["share"] if before["share"] >= 0.5 else min(silent["share"], 0.5)
    if kept["of"] and kept["high"] < silent["share"] and kept["share"] < enough:
        return False, f"it calls tools where none is due ({percent(kept)} right, base {percent(silent)})"
    return True, ""


def floor_verdict(kl_per_token: float | None, limit: float) -> str:
    """Why an adapter forgets too much to be a success, "" where it keeps the floor or there is none."""
    if not limit or kl_per_token is None or kl_per_token <= limit:
        return ""
    return (
        f"its answers to ordinary prompts are {kl_per_token:.2f} nats per token from the base's, "
        f"more than max_forgetting_kl {limit:g}"
    )


def degenerate_verdict(forgetting: Metrics | None, limit: float) -> str:
    """Why an adapter spoils too many ordinary answers to be a success, "" where it does not or none was asked."""
    if not forgetting or not forgetting["degenerate"]["of"]:
        return ""
    spoiled, base = forgetting["degenerate"], forgetting["degenerate_base"]
    if spoiled["share"] <= base["share"] + limit:
        return ""
    return (
        f"{spoiled['count']} of {spoiled['of']} answers to ordinary prompts are empty, repeat or run on "
        f"(base {base['count']}), more than max_degenerate {limit:g} beyond the base's"
    )


def accuracy_table(metrics: Metrics) -> Table:
    """Base beside adapter: exact by category, then must-call, no-call and the partial measures."""
    table = Table(title="frozen test, exact answers", title_justify="left")
    table.add_column("category")
    table.add_column("base", justify="right")
    table.add_column("base + adapter", justify="right")
    for name, base, adapter in comparison(metrics):
        table.add_row(name, percent(base), percent(adapter), end_section=name == "all")
    return table


def comparison(metrics: Metrics) -> list[tuple[str, Metrics, Metrics]]:
    """Name, base's and adapter's proportion: by category, all, must-call, no-call, the partial measures."""
    base, adapter = metrics["base"], metrics["adapter"]
    rows = [
        (category, base["by_category"][category]["exact"], part["exact"])
        for category, part in adapter["by_category"].items()
    ]
    rows.append(("all", base["overall"]["exact"], adapter["overall"]["exact"]))
    rows.append(("called where due", base["must_call"], adapter["must_call"]))
    rows.append(("no call where none is due", base["no_call"], adapter["no_call"]))
    for measure in ("parsed", "tool", "argument_names", "argument_values"):
        rows.append(
            (f"right: {measure.replace('_', ' ')}", base["overall"][measure], adapter["overall"][measure])
        )
    return rows


def quality_sentence(metrics: Metrics) -> str:
    """What the judge found, or that there was none."""
    quality = metrics.get("quality")
    if not quality:
        return "Response quality was not judged (give --judge-url URL, or --judge-url base)."
    if quality.get("error"):
        return f"Response quality was not judged: {quality['error']}."
    passed = f"{percent(quality['sanity'])} of known good and broken answers told apart"
    if not quality["fit"]:
        return f"Response quality was not judged: {quality['judge']} is unfit as a judge ({passed})."
    return (
        f"Final answers judged by {quality['judge']} ({passed}): adapter better {quality['wins']}, "
        f"equal {quality['ties']}, worse {quality['losses']}, "
        f"verdict unreadable {quality['unreadable']} of {quality['judged']}."
    )


def distance_sentence(metrics: Metrics) -> str:
    """How well the writer's prompts are told from people's; "" where there are none of people."""
    told = metrics.get("writer_distance")
    if not told:
        return ""
    return f"A bag of words tells the writer's prompts from people's in {percent(told)} (50 %: not at all)."


def answers_sentence(metrics: Metrics) -> str:
    """What the rules found in the final answers, "" where none were asked."""
    answers = metrics.get("answers")
    if not answers:
        return ""
    parts = [
        f"{words} {percent(answers['base'][key])} and {percent(answers['adapter'][key])}"
        for key, words in (("uses_result", "use the tool's result"), ("invents_numbers", "invent numbers"))
    ]
    return f"Final answers of base and adapter: {'; '.join(parts)}."


def forgetting_sentence(metrics: Metrics) -> str:
    """What the adapter does to ordinary prompts, and its tool cases by scale, "" where not measured."""
    found = metrics.get("forgetting")
    if not found:
        return ""
    kl = found["kl_per_token"]
    text = (
        f"Ordinary prompts: {'KL not measured' if kl is None else f'{kl:.3f} nats per token from the base'}, "
        f"beside tools {percent(found['called'])} call one, degenerate answers {percent(found['degenerate'])} "
        f"(base {percent(found['degenerate_base'])})."
    )
    rows = found["scales"]
    if rows:
        shares = ", ".join(
            f"{row['scale']:g}: {row['exact']['count']}"
            + ("" if row["kl_per_token"] is None else f" (KL {row['kl_per_token']:.2f})")
            for row in rows
        )
        text += f"\nExact of {rows[0]['exact']['of']} validation cases by adapter scale: {shares}."
    return text


def print_screen(console: Console, metrics: Metrics, directory: Path, report: Path | None = None) -> None:
    """The last screen of a run; ends with the headline and where the report lies."""
    console.print()
    console.print(accuracy_table(metrics))
    for sentence in (answers_sentence, quality_sentence, forgetting_sentence, distance_sentence):
        if text := sentence(metrics):
            console.print(text, highlight=False, markup=False)
    sample = metrics.get("sample")
    if sample:
        console.print("\nSample prompt", style="bold")
        for label, key in (("user", "prompt"), ("base", "base"), ("base + adapter", "adapter")):
            console.print(f"  {label}: {sample[key]}", highlight=False, markup=False)
    console.print(f"\nAdapter: {directory / 'adapter.gguf'}", highlight=False, markup=False)
    console.print("Serve it:", style="bold")
    console.print(f"  {metrics['serve_command']}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"\n{headline(metrics)}", highlight=False, markup=False)
    if report:
        console.print(f"Report: {report}", highlight=False, markup=False, soft_wrap=True)


def model_card(metrics: Metrics, tools: Sequence[Mapping[str, Any]]) -> str:
    """README.md of the adapter folder: what it is, its figures, how to serve it."""
    settings = metrics["settings"]
    rows = "\n".join(f"| {name} | {percent(a)} | {percent(b)} |" for name, a, b in comparison(metrics))
    names = "\n".join(f"- `{t['function']['name']}`: {t['function']['description']}" for t in tools)
    return f"""---
base_model: {metrics["base_model"]}
library_name: peft
tags: [lora, tool-calling, gguf, llama.cpp]
---
# LoRA adapter that calls {len(tools)} tools

Base model: `{metrics["base_model"]}`. Rank {settings["lora_r"]}, alpha {settings["lora_alpha"]}. Made by auto_lora {metrics["version"]}.

## Tools
{names}

## Figures
{headline(metrics)}

| | base | base + adapter |
|---|---|---|
{rows}

Counts, share and 95 % Wilson interval of cases; both were served by llama.cpp and asked the same.

{answers_sentence(metrics)} {quality_sentence(metrics)}

{forgetting_sentence(metrics)}
{distance_sentence(metrics)}

## Serve
```
{metrics["serve_command"]}
```
Ask `/v1/chat/completions` with the tools of `tools.json`, in that order, `"temperature": 0` and `"parallel_tool_calls": true`: so it was
measured. `chat_template.jinja` is the template the adapter was trained with; with another one it will not work as measured.
{_ACTIVATED if settings.get("activated") else ""}
`adapter_model.safetensors` and `adapter_config.json` load in PEFT; `adapter.gguf` loads in llama.cpp.
`report.html` shows every case of the test (`cases.jsonl`); `manifest.json` says what all this was made of.
"""
