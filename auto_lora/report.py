"""`report.html`: everything a finished run knows, in one file that opens offline.

Works on the plain files of a run folder (or of an adapter folder alone, which then has no data to
show), so that it can be written again at any time. `templates/report.html.jinja` draws it.
"""

from __future__ import annotations

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
EXAMPLES = 2  # training conversations shown of each category
NO_CALL, MALFORMED = "no call", "malformed"


def write_report(directory: str | Path) -> Path:
    """Writes `report.html` beside the adapter of a finished run and returns its path.

    Args:
        directory: the run folder, or the adapter folder in it.

    Raises:
        UsageError: no finished run lies there.
    """
    directory = Path(directory)
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
        "speed": metrics.get("speed"),
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


def _iterations(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each iteration with what changed before it, its figures and its curves."""
    reasons = [f"first data: {metrics['iterations'][0]['training_examples']} conversations"]
    for done in metrics["iterations"]:
        yield {
            "number": done["iteration"],
            "best": done["iteration"] == metrics["best_iteration"],
            "changed": reasons,
            "examples": done["training_examples"],
            "rejected": sum(done["rejected_examples"].values()),
            "exact": done["validation"]["overall"]["exact"],
            "training": done["training"],
            "curve": _curve(done["training"]),
        }
        reasons = done["next_round"]["reasons"]


def _curve(training: Mapping[str, Any]) -> dict[str, Any]:
    """Losses as points of a square of 100 by 100, the largest loss at its top, and as plain figures."""
    losses, history = training.get("losses", []), training["history"]
    width = max(1, -(-len(losses) // MOST_POINTS))
    steps = [
        (min(i + width, len(losses)), round(sum(part := losses[i : i + width]) / len(part), 5))
        for i in range(0, len(losses), width)
    ]
    last = len(losses) or len(history)
    epochs = [(e["epoch"] * last / len(history), e["validation_loss"]) for e in history]
    top = max([loss for _, loss in steps + epochs] + [e["train_loss"] for e in history])
    top = top or 1.0

    def points(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(round(100 * x / last, 2), round(100 - 100 * y / top, 2)) for x, y in pairs]

    return {"top": top, "last": last, "steps": steps, "train": points(steps), "validation": points(epochs)}


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


def _wrong_parameters(cases: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """Parameter, kind of fault and count in the adapter's answers, the most frequent first."""
    counts = Counter(
        (f"{f['tool']}.{f['parameter']}", f["kind"])
        for case in cases
        for f in case["adapter"]["faults"]
        if f["parameter"]
    )
    return [(name, kind, count) for (name, kind), count in counts.most_common()]


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
    rejects: Counter[str] = Counter()
    for done in metrics["iterations"]:
        rejects.update(done["rejected_examples"])
    return {
        "splits": splits,
        "categories": list(dict.fromkeys(c for counts in splits.values() for c in counts)),
        "calls": calls.most_common(),
        "rejects": rejects.most_common(),
        "examples": examples,
    }


def _call(call: Mapping[str, Any]) -> str:
    return f"{call['name']}({dumps(call['arguments'])})"
