"""The phrasebook holds none of the prompts that the product is tested with."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import auto_lora
from auto_lora._toolcall import normal_text
from auto_lora.dialogues.definitions.frames import Bracket, Slot, parse

PHRASES = Path(auto_lora.__file__).parent / "dialogues" / "phrases"
BELTS = Path(__file__).parents[1] / "examples" / "belts"
N = 6


def words(text: str) -> list[str]:
    return re.findall(r"\w+", re.sub(r"['’]", "", normal_text(text)))


def grams(text: str) -> set[str]:
    said = words(text)
    return {" ".join(said[i : i + N]) for i in range(len(said) - N + 1)}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def spoken(line: str) -> list[str]:
    """Every text that a line of the phrasebook stands for, without its slots."""
    try:
        return expand(parse(line).parts)
    except ValueError:  # no line of the grammar
        return [line]


def expand(parts: Any) -> list[str]:
    ways = []
    for part in parts:
        if isinstance(part, str):
            ways.append([part])
        elif isinstance(part, Slot):
            ways.append([" "])
        elif isinstance(part, Bracket):
            ways.append(["", *expand(part.parts)])
        else:
            ways.append([text for branch in part.branches for text in expand(branch)])
    return ["".join(way) for way in product(*ways)]


def shipped() -> dict[str, set[str]]:
    """6-gram to the lines that it stands in."""
    found: dict[str, set[str]] = {}
    for file in sorted(PHRASES.rglob("*.json")):
        for line in strings(json.loads(file.read_text(encoding="utf-8"))):
            for gram in {g for text in spoken(line) for g in grams(text)}:
                found.setdefault(gram, set()).add(f"{file.relative_to(PHRASES)}: {line}")
    return found


def prompts(folder: Path) -> Iterator[str]:
    """What users say, as it is and without the values of the expected arguments (a frame has slots there)."""
    files = sorted(folder.glob("*/cases.jsonl"))
    assert files, f"{folder} holds no */cases.jsonl"
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            values = {
                str(v) for c in case["expected"] for accepted in c["arguments"].values() for v in accepted
            }
            slots = "|".join(re.escape(v) for v in sorted(values, key=len, reverse=True))
            for text in (m["content"] for m in case["messages"] if m["role"] == "user"):
                yield text
                if slots:
                    yield re.sub(rf"\b(?:{slots})(?!\w)", " ", text, flags=re.IGNORECASE)


def test_the_search_finds_a_leak_through_slots_brackets_and_spelling():
    lines = spoken("(could|can) you look up [{+place}] the weather for {day} again")
    assert len(lines) == 4
    assert "could you look up the weather" in grams(lines[0])
    assert grams("Can you look up... the WEATHER, what's more") & {g for t in lines for g in grams(t)}
    assert grams("what's up with all of it") == grams("whats up with all of it")


def test_the_phrasebook_shares_no_six_words_with_test_prompts():
    folders = [BELTS, *map(Path, filter(None, [os.environ.get("AUTO_LORA_REAL_PROMPTS")]))]
    ships = shipped()
    assert len(ships) > 5_000
    hits = [
        f"{gram!r} of {prompt!r} in {sorted(ships[gram])}"
        for folder in folders
        for prompt in prompts(folder)
        for gram in sorted(grams(prompt) & ships.keys())
    ]
    hits = sorted(set(hits))
    assert not hits, "\n".join(hits)
