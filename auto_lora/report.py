"""`report.html`: everything a finished run knows, in one file that opens offline.

Works on the plain files of a run folder (or of an adapter folder alone, which then has no data to
show), so that it can be written again at any time. `templates/report.html.jinja` draws it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from auto_lora import __version__
from auto_lora._errors import UsageError
from auto_lora._runs import dumps, read_json, read_jsonl, write_text
from auto_lora._toolcall import ToolCall, match_calls
from auto_lora.handover import comparison, distance_sentence, headline, percent, quality_sentence

MOST_CASES = 2000  # on the page; the wrong ones first. 500 cases make about 1 MB
MOST_POINTS = 120  # of a training curve; more are averaged
LEAST_LOSS = 1e-5  # what is below is drawn there: the axis is logarithmic
EXAMPLES = 2  # training conversations shown of each category
NO_CALL, MALFORMED = "no call", "malformed"


def write_report(directory: str | Path) -> Path:
    """Writes `report.html` beside the adapter of a finished run and returns its path.

    Args:
        directory: the run folder, or the adapter folder in it.

    Raises:
        UsageError: no finished run lies there.
    """
    directory = Path(directory).resolve()  # the run lies around the adapter, also where that is "."
    final = directory if (directory / "metrics.json").is_file() else directory / "final_adapter"
    if not (final / "metrics.json").is_file() or "base" not in read_json(final / "metrics.json"):
        raise UsageError(f"{directory} holds no finished run", "give the folder that --train wrote")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"part": percent, "call": _call, "json": dumps, "zip": zip}
    template = environment.get_template("report.html.jinja")
    return write_text(final / "report.html", template.render(contents(final)))


def contents(final: Path) -> dict[str, Any]:
    """All that the template shows, from the files of an adapter folder and the run around it."""
    metrics = read_json(final / "metrics.json")
    cases = list(read_jsonl(final / "cases.jsonl")) if (final / "cases.jsonl").is_file() else []
    rows = comparison(metrics)
    return {
        "version": __version__,
        "metrics": metrics,
        "headline": headline(metrics),
        "remarks": [
            text for sentence in (distance_sentence, quality_sentence) if (text := sentence(metrics))
        ],
        "categories": rows[: len(metrics["adapter"]["by_category"]) + 1],
        "measures": rows[len(metrics["adapter"]["by_category"]) + 1 :] + _own_metrics(metrics),
        "answers": _answers(metrics),
        "tools": _by_tool(metrics),
        "iterations": list(_iterations(metrics)),
        "confusion": {model: _confusion(cases, model) for model in ("base", "adapter")} if cases else {},
        "faults": _faults(cases),
        "parameters": _wrong_parameters(cases),
        "data": _data(final.parent, metrics),
        "cases": sorted(cases, key=lambda c: c["adapter"]["exact"])[:MOST_CASES],
        "all_cases": len(cases),
        "forgetting": metrics.get("forgetting"),
        "speed": _speed(metrics),
        "manifest": read_json(final / "manifest.json") if (final / "manifest.json").is_file() else None,
    }


def _own_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [
        (name, metrics["base"]["metrics"][name], part) for name, part in metrics["adapter"]["metrics"].items()
    ]


def _answers(metrics: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What the rules found in the final answers; nothing where none were asked."""
    found = metrics.get("answers")
    words = {"uses_result": "uses the tool's result", "invents_numbers": "invents numbers"}
    return [(text, found["base"][key], found["adapter"][key]) for key, text in words.items()] if found else []


def _by_tool(metrics: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    base, adapter = (metrics[model].get("by_tool", {}) for model in ("base", "adapter"))
    return [(name, base[name]["exact"], part["exact"]) for name, part in adapter.items()]


def _speed(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was measured of either model, and all of it as rows; None where it was not measured."""
    found = {model: metrics[model].get("speed") for model in ("base", "adapter")}
    if not all(found.values()):
        return None
    keys = ("prompt", "prompt_tokens", "generated", "generated_tokens")
    rows = [
        (metrics[model]["model"], *(speed[key] for key in keys), metrics[model]["seconds"])
        for model, speed in found.items()
    ]
    return {**found, "rows": rows}


def _iterations(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each iteration with what changed before it, its figures and its curves."""
    reasons = [f"first data: {metrics['iterations'][0]['training_examples']} conversations"]
    for done in metrics["iterations"]:
        validated = done["validation"]
        yield {
            "number": done["iteration"],
            "best": done["iteration"] == metrics["best_iteration"],
            "changed": reasons,
            "validated": (
                f"iteration {done['iteration']}",
                validated["must_call"],
                validated["overall"]["exact"],
            ),
            "facts": _facts(done),
            "checks": _checks(done),
            "training": done["training"],
            "curve": _curve(done["training"]),
        }
        reasons = done["next_round"]["reasons"]


def _facts(done: Mapping[str, Any]) -> dict[str, Any]:
    """An iteration's figures by name."""
    training, drift, compared = done["training"], done.get("drift"), {}
    if test := done.get("gain"):
        compared = {
            "gained and lost since the one before (McNemar)": f"+{test['gained']} −{test['lost']}, p = {test['p']:.2g}"
        }
    return {
        "conversations so far": done["training_examples"],
        "drafts rejected": sum(done["rejected_examples"].values()),
        "validation, exact": percent(done["validation"]["overall"]["exact"]),
        **compared,
        "validation loss": round(training["history"][training["best_epoch"] - 1]["validation_loss"], 5),
        "epoch kept": f"{training['best_epoch']} of {len(training['history'])}",
        "KL per token to the base, nats": drift["1.0"] if drift else "not measured",
        "examples/s": round(training["examples_per_second"], 2),
        "seconds of training": round(training["seconds"], 1),
    }


def _checks(done: Mapping[str, Any]) -> dict[str, Any]:
    """What the gates found of the served adapter, by name; nothing from a run without them."""
    gate, again = done.get("gate"), done.get("hygiene")
    if not (gate and again):
        return {}
    first = gate["adapter"]["equal_first"]
    return {
        "prompts compared": gate["probes"],
        "log-probabilities apart, base": gate["base"]["rms"],
        "log-probabilities apart, base + adapter": gate["adapter"]["rms"],
        "the largest of these": gate["adapter"]["largest"],
        "the same token is likeliest": f"{first['count']} of {first['of']}",
        "at scale 0, difference to the base": gate["scale_0"],
        "at scale 1, difference to the base": round(gate["scale_1"], 4),
        "asked again without cache: other verdicts": f"{again['verdicts']} of {again['cases']}",
        "asked again without cache: other answers": f"{again['answers']} of {again['cases']}",
    }


def _curve(training: Mapping[str, Any]) -> dict[str, Any]:
    """Losses as points of a square of 100 by 100, whole powers of ten at top and bottom, and as plain figures."""
    losses, history = training.get("losses", []), training["history"]
    width = max(1, -(-len(losses) // MOST_POINTS))
    steps = [
        (min(i + width, len(losses)), round(sum(part := losses[i : i + width]) / len(part), 5))
        for i in range(0, len(losses), width)
    ]
    last = len(losses) or len(history)
    epochs = [(e["epoch"] * last / len(history), e["validation_loss"]) for e in history]
    steps = steps or [(e["epoch"] * last / len(history), e["train_loss"]) for e in history]
    logs = [math.log10(max(loss, LEAST_LOSS)) for _, loss in steps + epochs]
    low, top = math.floor(min(logs)), math.floor(max(logs)) + 1

    def height(loss: float) -> float:
        return round(100 * (top - math.log10(max(loss, LEAST_LOSS))) / (top - low), 2)

    def points(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(round(100 * x / last, 2), height(loss)) for x, loss in pairs]

    return {
        "last": last,
        "unit": "steps" if losses else "epochs",
        "ticks": [(height(10.0**power), 10.0**power) for power in range(low, top + 1)],
        "steps": steps if losses else [],
        "train": points(steps),
        "validation": points(epochs),
    }


def _confusion(cases: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    """How often each expected tool was answered by which: rows expected, columns called."""
    known = sorted({c["name"] for case in cases for turn in case["expected"] for c in turn})
    counts: Counter[tuple[str, str]] = Counter()
    for case in cases:
        for expected, answer in zip(case["expected"], case[model]["turns"], strict=True):
            counts.update(_answered(expected, answer))
    called = {name for _, name in counts}
    others = sorted(called - {*known, NO_CALL, MALFORMED})
    return {
        "counts": counts,
        "rows": [*known, NO_CALL],
        "columns": [*known, *others, NO_CALL, *({MALFORMED} & called)],
    }


def _answered(expected: Sequence[Any], answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of expected and called tool in one answer."""
    none = MALFORMED if answer["error"] else NO_CALL
    if not expected and not answer["calls"]:
        yield NO_CALL, none
    pairs = match_calls([ToolCall(**c) for c in expected], [ToolCall(**c) for c in answer["calls"]])
    surplus = [got.name for wanted, got in pairs if wanted is None and got]
    for wanted, got in pairs:
        if wanted and got:
            yield wanted.name, got.name
        elif wanted:
            yield wanted.name, surplus.pop(0) if surplus else none
    yield from ((NO_CALL, name) for name in surplus)


def _faults(cases: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """Every kind of fault with its number in the base's and the adapter's answers, the adapter's most frequent first."""
    base, adapter = (
        Counter(f["kind"] for case in cases for f in case[model]["faults"]) for model in ("base", "adapter")
    )
    return [
        (kind, base[kind], adapter[kind])
        for kind in sorted({*base, *adapter}, key=lambda k: (-adapter[k], -base[k], k))
    ]


def _wrong_parameters(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of a parameter and its faults by kind in the adapter's answers, the most faulty first."""
    faults = [
        (f"{f['tool']}.{f['parameter']}", f["kind"])
        for case in cases
        for f in case["adapter"]["faults"]
        if f["parameter"]
    ]
    counts, kinds = Counter(faults), sorted({kind for _, kind in faults})
    names = Counter(name for name, _ in faults).most_common()
    return {"kinds": kinds, "rows": [(name, [counts[name, kind] for kind in kinds]) for name, _ in names]}


def _data(run: Path, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the models were taught and asked: shares, calls per tool, rejects, some examples."""
    train = run / f"iteration_{metrics['best_iteration']}" / "train.jsonl"
    files = {"training": train, **{s: run / "data" / f"{s}.jsonl" for s in ("validation", "test")}}
    splits: dict[str, Counter[str]] = {}
    examples: dict[str, list[Any]] = {}
    calls: Counter[str] = Counter()
    for split, path in files.items():
        if not path.is_file():
            continue
        splits[split] = Counter()
        for row in read_jsonl(path):
            splits[split][row["category"]] += 1
            if split != "training":
                continue
            calls.update(c["function"]["name"] for m in row["messages"] for c in m.get("tool_calls") or ())
            shown = examples.setdefault(row["category"], [])
            if len(shown) < EXAMPLES:
                shown.append(row["messages"])
    if not splits:
        return None
    best = next(i for i in metrics["iterations"] if i["iteration"] == metrics["best_iteration"])
    rejects: Counter[str] = Counter()
    for done in metrics["iterations"]:
        rejects.update(done["rejected_examples"])
    return {
        "splits": splits,
        "categories": list(dict.fromkeys(c for counts in splits.values() for c in counts)),
        "calls": calls.most_common(),
        "rejects": rejects.most_common(),
        "examples": examples,
        "writers": best.get("writers", {}),
        "writer_verdict": best.get("writer_verdict", ""),
    }


def _call(call: Mapping[str, Any]) -> str:
    return f"{call['name']}({dumps(call['arguments'])})"
