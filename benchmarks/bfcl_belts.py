"""Belts for `real_prompts.py` from the Berkeley Function Calling Leaderboard (PyPI `bfcl-eval`, Apache-2.0).

    python benchmarks/bfcl_belts.py OUT_DIR

Writes OUT_DIR/bfcl_live and OUT_DIR/bfcl_python, each `tools.json` and `cases.jsonl`. `bfcl_live`: the 10 functions with most
questions in live_simple. `bfcl_python`: 30 functions of simple_python, with their questions in simple_python, multiple and
parallel. Each gets 60 questions of irrelevance for which no call is right. Only these files of the wheel are opened: the
others are kept for acceptance.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora.catalog import parse_tools
from auto_lora.dialogues.definitions.phrasebook import stem, words_of

RELEASE = "bfcl-eval==2026.3.23"
CACHE = Path.home() / ".cache" / "auto_lora_bfcl"
DATA = "bfcl_eval/data/"
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
KEPT = ("description", "enum", "default", "minimum", "maximum", "format")
# Either would be a right answer beside another function of the belt: they do the same, or answer anything at all.
LEFT_OUT = frozenset(
    [
        "calculate_BMI", "math.hcf", "calculate_final_velocity", "solve_quadratic", "solve_quadratic_equation", "geometry.area_triangle", "calculate_area",
        "geometry.calculate_area_circle", "calculate_circumference", "geometry.calculate_circumference", "number_analysis.prime_factors", "number_theory.gcd",
        "Weather_1_GetWeather", "answer.string",
    ]
)  # fmt: skip
# Irrelevant to the functions offered with them, but a function of a belt answers them (integrals, prime factors, routes, the time, films, ice cream).
ANSWERABLE = frozenset(f"irrelevance_{n}" for n in (7, 8, 9, 10, 12, 13, 17, 38, 114, 201))
COMMON = frozenset(
    map(stem, (
        "a an the of in on at to for from by with and or is are was be it its this that what which who how many much i my me you your can could do does "
        "between given based using as per if into about over after will would have has need want please some any all more most than "
        "calculate find get compute determine return retrieve provide show tell give list check value values number numbers total time "
        "amount certain specific specified particular type name data current information detail different set function result two one first"
    ).split())
)  # fmt: skip
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--no-call", type=int, default=60)
    args = parser.parse_args()
    with zipfile.ZipFile(download()) as wheel:
        live, python, irrelevance = (
            list(questions(wheel, names))
            for names in (("live_simple",), ("simple_python", "multiple", "parallel"), ("irrelevance",))
        )
    write(args.out / "bfcl_live", choose(live, "live_simple", 10), live, irrelevance, args.no_call)
    write(args.out / "bfcl_python", choose(python, "simple_python", 30), python, irrelevance, args.no_call)


def download() -> Path:
    """The wheel, from the cache or PyPI."""
    if not list(CACHE.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), RELEASE]  # fmt: skip
        subprocess.run(command, check=True)
    return next(CACHE.glob("*.whl"))


def questions(wheel: zipfile.ZipFile, names: Iterable[str]) -> Iterator[Row]:
    """Questions of one turn: file, id, messages, functions offered, answer (none for irrelevance)."""
    for name in names:
        answers: dict[str, Any] = {}
        if name != "irrelevance":
            rows = read(wheel, f"{DATA}possible_answer/BFCL_v4_{name}.json")
            answers = {r["id"]: r["ground_truth"] for r in rows}
        for row in read(wheel, f"{DATA}BFCL_v4_{name}.json"):
            (messages,) = row["question"]
            yield {"file": name, "id": row["id"], "messages": messages, "functions": {f["name"]: f for f in row["function"]}, "answer": answers.get(row["id"], [])}  # fmt: skip


def read(wheel: zipfile.ZipFile, member: str) -> list[Row]:
    return [json.loads(line) for line in wheel.read(member).decode("utf-8").splitlines()]


# Functions: the same name comes with other parameters elsewhere, so a function is its name and the shape of its parameters.


def shape(schema: Row) -> str:
    """Names, types and enums of the parameters, without descriptions and defaults."""

    def bare(node: Row) -> Any:
        inner = {k: bare(v) for k, v in sorted(node.get("properties", {}).items())}
        items = bare(node["items"]) if isinstance(node.get("items"), dict) else None
        return [node.get("type"), node.get("enum"), inner, sorted(node.get("required", [])), items]

    return json.dumps(bare(schema))


def functions_of(row: Row) -> set[tuple[str, str]]:
    names = {name for call in row["answer"] for name in call}
    return {(n, shape(row["functions"][n]["parameters"])) for n in names if n in row["functions"]}


def choose(rows: list[Row], source: str, count: int) -> dict[tuple[str, str], Row]:
    """The functions of a file with most questions in all files, in the file's order; of each name the commonest shape."""
    asked = Counter(f for row in rows for f in functions_of(row))
    seen: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["file"] == source:
            for name, form in functions_of(row):
                seen.setdefault((name, form), row["functions"][name])
    best: dict[str, tuple[str, str]] = {}
    for key in sorted(seen, key=lambda k: -asked[k]):
        if key[0] not in LEFT_OUT:
            best.setdefault(key[0], key)
    chosen = set(list(best.values())[:count])
    return {key: function for key, function in seen.items() if key in chosen}


def to_schema(node: Row) -> Row:
    """BFCL's types to JSON Schema's."""
    made = {k: node[k] for k in KEPT if k in node and node[k] is not None}
    made["type"] = TYPES.get(node.get("type", "string"), node.get("type", "string"))
    if made["type"] == "object":
        made["properties"] = {k: to_schema(v) for k, v in node.get("properties", {}).items()}
        made["required"] = [k for k in node.get("required", []) if k in made["properties"]]
    if isinstance(node.get("items"), dict):
        made["items"] = to_schema(node["items"])
    return made


def tool_name(name: str) -> str:
    return name.replace(".", "_")


# Answers.


def values_of(accepted: Any, limit: int = 64) -> list[Any]:
    """The JSON values that an accepted one stands for: a dict holds lists of accepted values, "" for "may be left out".

    Raises:
        ValueError: more than `limit`.
    """
    if isinstance(accepted, list):
        ways = [values_of(item, limit) for item in accepted]
        return [list(way) for way in bounded(ways, limit)]
    if not isinstance(accepted, dict):
        return [accepted]
    ways = []
    for key, choices in accepted.items():
        way: list[Row] = [{}] if "" in choices else []
        way += [{key: value} for choice in choices if choice != "" for value in values_of(choice, limit)]
        ways.append(way)
    return [{k: v for part in way for k, v in part.items()} for way in bounded(ways, limit)]


def bounded(ways: list[list[Any]], limit: int) -> list[tuple[Any, ...]]:
    size = 1
    for way in ways:
        size *= len(way)
    if size > limit:
        raise ValueError(f"{size} accepted values")
    return list(product(*ways))


def expected_call(name: str, given: Row, schema: Row) -> Row:
    """One call in the benchmark's form.

    Raises:
        ValueError: a required argument has no accepted value that fits the schema.
    """
    arguments: dict[str, list[Any]] = {}
    optional = []
    for key, accepted in given.items():
        if key not in schema["properties"]:
            raise ValueError(f"{key} is no parameter")
        fits = Draft202012Validator(schema["properties"][key]).is_valid
        may_lack = any(a in ("", None) for a in accepted if not isinstance(a, (list, dict)))
        values = [v for a in accepted if a is not None for v in values_of(a) if v != "" and fits(v)]
        if values:
            arguments[key] = values
        if key in schema["required"] and not values:
            raise ValueError(f"no accepted value of {key} fits")
        if not values and not may_lack:
            raise ValueError(f"no accepted value of {key} fits")
        if values and may_lack and key not in schema["required"]:  # without a value it must be absent
            optional.append(key)
    return {"name": tool_name(name), "arguments": arguments, "optional": optional}


def case_of(row: Row, schemas: dict[str, Row]) -> Row:
    calls = [expected_call(n, given, schemas[n]) for call in row["answer"] for n, given in call.items()]
    kind = "no_call" if not calls else "single" if len(calls) == 1 else "parallel"
    return {"id": row["id"], "category": kind, "messages": row["messages"], "expected": calls}


# No call.


def topic_words(text: str) -> frozenset[str]:
    return frozenset(stem(w) for w in words_of(text) if len(w) > 2) - COMMON


def unrelated(rows: list[Row], functions: Iterable[Row], count: int) -> list[Row]:
    """Questions that share no topic word with any function's name or description, in the file's order."""
    about: set[str] = set()
    for f in functions:
        about |= topic_words(f"{f['name']} {f['description']}")
    apart = {}
    for r in rows:
        text = r["messages"][-1]["content"]
        if r["id"] not in ANSWERABLE and not about & topic_words(text):
            apart.setdefault(text.lower(), r)
    return sorted(random.Random(0).sample(list(apart.values()), min(count, len(apart))), key=rows.index)


def write(folder: Path, chosen: dict[tuple[str, str], Row], rows: list[Row], others: list[Row], no_call: int) -> None:  # fmt: skip
    schemas = {name: to_schema(f["parameters"]) for (name, _), f in chosen.items()}
    tools = [{"name": tool_name(n), "description": chosen[n, s]["description"], "parameters": schemas[n]} for n, s in chosen]  # fmt: skip
    parse_tools(tools, folder.name)
    cases, left_out = {}, defaultdict(list)
    for row in rows:
        used = functions_of(row)
        if row["answer"] and used and used <= chosen.keys() and {n for c in row["answer"] for n in c} == {n for n, _ in used}:  # fmt: skip
            try:
                cases.setdefault(json.dumps(row["messages"]), case_of(row, schemas))
            except ValueError as error:
                left_out[str(error)].append(row["id"])
    for row in unrelated(others, chosen.values(), no_call):
        cases.setdefault(json.dumps(row["messages"]), case_of(row, schemas))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tools.json").write_text(
        json.dumps(tools, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    lines = [json.dumps(c, ensure_ascii=False) + "\n" for c in cases.values()]
    (folder / "cases.jsonl").write_text("".join(lines), encoding="utf-8")
    kinds = Counter(c["category"] for c in cases.values())
    print(f"{folder.name}: {len(tools)} tools, {len(lines)} cases {dict(kinds)}; left out {dict(left_out)}")


if __name__ == "__main__":
    main()
