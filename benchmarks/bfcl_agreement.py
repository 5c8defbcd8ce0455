"""Does our scorer judge as BFCL's official AST checker does?

Each case of four BFCL files (simple_python, multiple, parallel, live_simple) is answered correctly and in several wrong ways, in the wire
format of the models; our verdict is `score_turn` on the parsed calls, BFCL's is its own `ast_checker`, run by another Python in which the
package `bfcl-eval` is installed, asked over JSON lines. No other BFCL file is read.

    python benchmarks/bfcl_agreement.py                    # makes that environment in the cache folder: pip install --no-deps bfcl-eval
    python benchmarks/bfcl_agreement.py --python PATH      # or uses one that has it

BFCL accepts several values for an argument, and "" among them where it may be left out; our scorer takes one expected call. So each answer
is compared with the accepted call nearest to it. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import subprocess
import sys
import venv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from auto_lora._toolcall import ToolCall, parse_reply, same_call, same_value
from auto_lora.score import proportion, score_turn

FILES = ("simple_python", "multiple", "parallel", "live_simple")
PACKAGE = "bfcl-eval==2026.3.23"
Call = dict[str, Any]  # {"name": ..., "arguments": {...}}

# Runs where bfcl-eval is installed. The checker takes a model's name to learn whether that model's API forbids dots in tool names, from a
# table that imports every vendor's client: a table of one name stands in for it. All else is the package's own code.
WORKER = """
import json, sys, types
from pathlib import Path
table = types.ModuleType("bfcl_eval.constants.model_config")
table.MODEL_CONFIG_MAPPING = {"plain": types.SimpleNamespace(underscore_to_dot=False)}
sys.modules[table.__name__] = table
import bfcl_eval
from bfcl_eval.constants.enums import Language
from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
print(json.dumps(str(Path(bfcl_eval.__path__[0]))), flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    try:
        answer = ast_checker(ask["functions"], ask["calls"], ask["truth"], Language.PYTHON, ask["file"], "plain")
        said = {"valid": answer["valid"], "why": answer.get("error_type", ""), "error": str(answer.get("error", ""))[:300]}
    except Exception as error:
        said = {"valid": False, "why": "the checker itself failed", "error": repr(error)}
    print(json.dumps(said), flush=True)
"""


class Official:
    """BFCL's checker in its own Python; a context manager."""

    def __init__(self, python: Path) -> None:
        self.process = subprocess.Popen(
            [str(python), "-I", "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.data = Path(self._read()) / "data"

    def __enter__(self) -> Official:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def judge(self, case: dict[str, Any], calls: Sequence[Call]) -> dict[str, Any]:
        ask = {"functions": case["functions"], "truth": case["truth"], "file": case["file"], "calls": [{c["name"]: c["arguments"]} for c in calls]}  # fmt: skip
        assert self.process.stdin
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the checker's Python ended: has it bfcl-eval?")
        return json.loads(line)


def environment(folder: Path) -> Path:
    """A Python with bfcl-eval alone: its AST checker needs none of the package's dependencies."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", PACKAGE], check=True)  # fmt: skip
    return python


def load(data: Path, file: str) -> list[dict[str, Any]]:
    rows, truths = (
        {r["id"]: r for r in map(json.loads, (data / folder / f"BFCL_v4_{file}.json").read_text(encoding="utf-8").splitlines())}
        for folder in ("", "possible_answer")
    )  # fmt: skip
    return [
        {"id": k, "file": file, "functions": r["function"], "truth": truths[k]["ground_truth"]}
        for k, r in rows.items()
    ]


# Accepted values.


def first(accepted: list[Any]) -> Any:
    """The first accepted value as a call would write it; None where all there is is "leave it out"."""
    given = [v for v in accepted if v != ""]
    return plain(given[0]) if given else None


def plain(value: Any) -> Any:
    """One accepted value without the lists of alternatives that BFCL keeps inside objects."""
    if isinstance(value, dict):
        inner = {k: first(v) if isinstance(v, list) else v for k, v in value.items()}
        return {k: v for k, v in inner.items() if v is not None}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def accepted_calls(truth: list[dict[str, Any]]) -> list[Call]:
    """The correct answer: the first accepted value of each argument."""
    calls = []
    for entry in truth:
        ((name, arguments),) = entry.items()
        given = {k: first(v) for k, v in arguments.items()}
        calls.append({"name": name, "arguments": {k: v for k, v in given.items() if v is not None}})
    return calls


def nearest(accepted: list[Any], said: Any) -> Any:
    """Of an argument's accepted values the one that `said` equals, else the first."""
    for value in accepted:
        if value == "" and said != "":
            continue
        near = near_value(value, said)
        if same_value(near, said):
            return near
    return first(accepted)


def near_value(value: Any, said: Any) -> Any:
    if isinstance(value, dict) and isinstance(said, dict):
        return near_object(value, said)
    if isinstance(value, list) and isinstance(said, list) and len(value) == len(said):
        return [near_value(v, s) for v, s in zip(value, said, strict=True)]
    return plain(value)


def near_object(rule: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """An object's keys with the accepted values nearest to what was said; optional ones only where said."""
    near = {}
    for key, accepted in rule.items():
        accepted = accepted if isinstance(accepted, list) else [accepted]
        if key in said:
            near[key] = nearest(accepted, said[key])
        elif "" not in accepted:
            near[key] = first(accepted)
    return near


def expected_for(truth: list[dict[str, Any]], said: Sequence[ToolCall]) -> list[ToolCall]:
    """The accepted calls nearest to an answer: each takes the first free call that it accepts, else one of its name."""
    free, expected = list(said), []
    for entry in truth:
        ((name, rule),) = entry.items()
        same = [c for c in free if c.name == name]
        made = [(ToolCall(name, near_object(rule, dict(c.arguments))), c) for c in same]
        want, used = next((m for m in made if same_call(*m)), (made or [(ToolCall(name, near_object(rule, {})), None)])[0])  # fmt: skip
        expected.append(want)
        if used is not None:
            free.remove(used)
    return expected


def ours(case: dict[str, Any], calls: Sequence[Call]) -> bool:
    """Our verdict on an answer in wire form."""
    raw = "\n".join(f"<tool_call>\n{json.dumps(c)}\n</tool_call>" for c in calls)
    reply = parse_reply(raw)
    return score_turn(expected_for(case["truth"], reply.calls), reply.calls, raw, reply.error).exact


# Answers.


def answers(case: dict[str, Any], rng: random.Random) -> Iterator[tuple[str, list[Call]]]:
    """The kind of each answer and its calls; kinds that do not fit the case are left out."""
    right = accepted_calls(case["truth"])
    yield "correct", right
    at = rng.randrange(len(right))
    arguments = right[at]["arguments"]
    schema = next(f for f in case["functions"] if f["name"] == right[at]["name"])["parameters"]

    def changed(new: dict[str, Any], name: str | None = None) -> list[Call]:
        return [*right[:at], {"name": name or right[at]["name"], "arguments": new}, *right[at + 1 :]]

    if arguments:
        key = rng.choice(sorted(arguments))
        accepted = next(iter(case["truth"][at].values()))[key]
        value = arguments[key]
        if (wrong := other_value(value)) not in accepted:
            yield "wrong value", changed({**arguments, key: wrong})
        yield "wrong type", changed({**arguments, key: other_type(value)})
    required = sorted(set(schema.get("required", ())) & arguments.keys())
    if required:
        gone = rng.choice(required)
        yield "missing required", changed({k: v for k, v in arguments.items() if k != gone})
    yield "extra argument", changed({**arguments, "colour_of_the_moon": "green"})
    others = [f["name"] for f in case["functions"] if f["name"] != right[at]["name"]]
    yield "wrong function", changed(arguments, rng.choice(others) if others else right[at]["name"] + "_all")
    yield "one call fewer", [c for i, c in enumerate(right) if i != at]
    if len(right) > 1:
        yield "reordered parallel calls", right[::-1]
    yield from other_forms(case, right, at)


def other_value(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 7
    if isinstance(value, str):
        return f"{value} and more"
    if isinstance(value, list):
        return [*value, other_value(value[-1]) if value else "more"]
    key = next(iter(value), None)
    return {**value, key: other_value(value[key])} if key else {"more": 1}


def other_type(value: Any) -> Any:
    """The same content as another JSON type."""
    return [value] if isinstance(value, str) else json.dumps(value)


FORMS = ("other case", "other punctuation", "whole number as 5.0")


def other_forms(case: dict[str, Any], right: list[Call], at: int) -> Iterator[tuple[str, list[Call]]]:
    """The correct answer written differently: here the two scorers differ on purpose."""
    for kind, change in zip(FORMS, (str.upper, lambda t: t.replace(" ", "-"), float), strict=True):
        kinds = (int,) if change is float else (str,)
        calls = copy.deepcopy(right)
        for key, value in calls[at]["arguments"].items():
            if type(value) in kinds and str(change(value)) != str(value):
                calls[at]["arguments"][key] = change(value)
                yield kind, calls
                break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--python", type=Path, help="a Python that has bfcl-eval; default: one made in --cache"
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "auto_lora" / "bfcl")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=1, help="examples of each kind of disagreement")
    args = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    differ: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    cases = Counter[str]()
    with Official(args.python or environment(args.cache)) as official:
        for file in FILES:
            for case in load(official.data, file):
                cases[file] += 1
                for kind, calls in answers(case, random.Random(f"{args.seed}/{case['id']}")):
                    mine, theirs = ours(case, calls), official.judge(case, calls)
                    counts[kind]["of"] += 1
                    counts[kind]["same"] += mine == theirs["valid"]
                    counts[kind]["right by BFCL"] += theirs["valid"]
                    if mine != theirs["valid"]:
                        says = f"ours {'right' if mine else 'wrong'}, BFCL {'right' if theirs['valid'] else 'wrong'}"
                        differ[kind, says, theirs["why"]].append(f"{case['id']}: {json.dumps(calls)} | accepted {json.dumps(case['truth'])} | {theirs['error']}")  # fmt: skip
    report(cases, counts, differ, args.show)


def report(
    cases: Counter[str], counts: dict[str, Counter[str]], differ: dict[Any, list[str]], show: int
) -> None:
    print(f"{sum(cases.values())} cases: {dict(cases)}\n\n| answer | judged | right by BFCL | same verdict |\n|---|---|---|---|")  # fmt: skip
    for kind, c in counts.items():
        print(
            f"| {kind} | {c['of']} | {c['right by BFCL']} | {c['same']}/{c['of']} {c['same'] / c['of']:.2%} |"
        )
    print()
    for (kind, says, why), examples in sorted(differ.items(), key=lambda d: -len(d[1])):
        print(f"{len(examples)} x {kind}: {says} ({why or 'no error'})")
        for text in examples[:show]:
            print(f"    {text[:700]}")
    total = {k: sum(c[k] for kind, c in counts.items() if kind not in FORMS) for k in ("same", "of")}
    every = {k: sum(c[k] for c in counts.values()) for k in ("same", "of")}
    print(json.dumps({
        "cases": sum(cases.values()), "agreement": proportion(total["same"], total["of"]), "with_other_forms": proportion(every["same"], every["of"]),
        "by_kind": {k: dict(c) for k, c in counts.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
