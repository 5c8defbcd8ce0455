"""Streams training conversations of the built-in writer: examples per second, memory, what was refused and why.

    python benchmarks/generation.py                  # 1,000,000 for the demo's tools
    python benchmarks/generation.py --examples 20000 --tools tools.json

A row is printed at 1,000, 10,000, 100,000, ... examples; nothing is kept, so memory may grow by the 8 bytes a prompt of the
set that finds duplicates and no more. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

import auto_lora
from auto_lora import SyntheticDataGenerator, TrainingConfig, load_tools

DEMO = Path(auto_lora.__file__).parent / "demo" / "tools.json"
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--tools", type=Path, default=DEMO)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    generator = SyntheticDataGenerator(load_tools(args.tools), TrainingConfig(seed=args.seed))
    rows, categories = stream(generator, args.examples)
    told = {
        "asked": args.examples, "written": sum(categories.values()), "categories": dict(categories), "rows": rows,
        "rejects": generator.rejects, "python": platform.python_version(), "cpus": os.cpu_count(),
    }  # fmt: skip
    print(json.dumps(told))


def stream(generator: SyntheticDataGenerator, count: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Rows at 300, at every power of ten and at the end; how many conversations of each category there were."""
    rows: list[dict[str, Any]] = []
    categories: Counter[str] = Counter()
    start, done, mark = time.perf_counter(), 0, 300
    for conversation in generator.stream(count, "train"):
        categories[conversation.category] += 1
        done += 1
        if done == mark:
            rows.append(row(done, start, generator))
            mark = 1000 if mark < 1000 else mark * 10
    if not rows or rows[-1]["examples"] != done:
        rows.append(row(done, start, generator))
    return rows, categories


def row(done: int, start: float, generator: SyntheticDataGenerator) -> dict[str, Any]:
    """Figures so far. The peak is the whole process's, so it holds Python, the libraries and the phrasebook too."""
    seconds = time.perf_counter() - start
    made = {
        "examples": done,
        "seconds": round(seconds, 2),
        "examples_per_second": round(done / seconds, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB, 1),
        "now_mib": round(psutil.Process().memory_info().rss / MIB, 1),
        "rejected": sum(generator.rejects.values()),
    }
    print("  ".join(f"{k} {v}" for k, v in made.items()), flush=True)
    return made


if __name__ == "__main__":
    main()
