"""Is scoring with the prompt cache the same as without, and how much faster?

The same cases of an adapter's test, each way in a fresh llama.cpp server, at temperature 0:

    one at a time, no cache     the reference: nothing shared between two requests
    one at a time, cached       must give the same verdicts
    N slots, cached             what the product does; the share of other verdicts is reported
    N slots, no cache           with --slots-alone: which of the two makes the difference, slots or cache

    python benchmarks/scoring.py                               # trains a short adapter on the demo's tools first
    python benchmarks/scoring.py --run lora_adapters/demo      # or asks a finished run's final adapter

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import auto_lora
from auto_lora import (
    Conversation,
    LlamaCppClient,
    LoRATrainer,
    SyntheticDataGenerator,
    ToolCallEvaluator,
    ToolCallingDataset,
    TrainingConfig,
    load_tools,
)
from auto_lora._base_model import load_base, load_tokenizer
from auto_lora.encode import ChatTemplate
from auto_lora.gguf_export import export_adapter
from auto_lora.model_source import embedded_model
from auto_lora.score import Evaluation, differing

DEMO = Path(auto_lora.__file__).parent / "demo" / "tools.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", type=Path, help="a finished run on the embedded model; default: a short training"
    )
    parser.add_argument("--tools", type=Path, default=DEMO)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--examples", type=int, default=320, help="of the short training")
    parser.add_argument("--slots-alone", action="store_true", help="also several slots without the cache")
    args = parser.parse_args()
    tools = load_tools(args.run / "final_adapter" / "tools.json" if args.run else args.tools)
    config = TrainingConfig(
        llama_cpp_model_path=str(embedded_model()), num_synthetic_examples=args.examples, num_epochs=1,
        lora_dropout=0.0, gradient_accumulation_steps=1,
    )  # fmt: skip
    generator = SyntheticDataGenerator(tools, config)
    test = generator.generate(args.cases, "test")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.run / "final_adapter" if args.run else train(config, generator, Path(temporary))
        ways = [
            (1, False),
            (1, True),
            (args.slots, True),
            *([(args.slots, False)] if args.slots_alone else []),
        ]
        rows = asyncio.run(measure(config, folder, test, ways))
    reference, plain = rows["one at a time, no cache"]
    print(
        "\n| way | requests/s | times | exact | other verdicts | other answers |\n|---|---|---|---|---|---|"
    )
    found: dict[str, Any] = {"cases": len(test), "slots": args.slots}
    for name, (evaluation, rate) in rows.items():
        other = differing(reference, evaluation)
        print(f"| {name} | {rate:.2f} | {rate / plain:.1f} | {evaluation.exact:.3f} | {other['verdicts']}/{len(test)} | {other['answers']}/{len(test)} |")  # fmt: skip
        found[name] = {"requests_per_second": round(rate, 3), "times": round(rate / plain, 2), **other}
    print(json.dumps(found))


def train(config: TrainingConfig, generator: SyntheticDataGenerator, folder: Path) -> Path:
    """A short adapter, so that answers are calls: the base alone hardly makes any."""
    base = load_base(config)
    template = ChatTemplate(base.tokenizer)
    sets = [
        ToolCallingDataset(generator.generate(n, split), template)
        for n, split in ((config.num_synthetic_examples, "train"), (16, "validation"))
    ]
    LoRATrainer(config, base).train(sets[0], sets[1], folder)
    export_adapter(folder, config.llama_cpp_model_path, folder / "adapter.gguf")
    return folder


async def measure(
    config: TrainingConfig, folder: Path, test: list[Conversation], ways: list[tuple[int, bool]]
) -> dict[str, tuple[Evaluation, float]]:
    """Per way of asking (slots, cached) its evaluation and requests/s, one server after the other."""
    requests = sum(len(c.scored_turns()) for c in test)
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "chat_template.jinja"
        file.write_text(ChatTemplate(load_tokenizer(config)).text, encoding="utf-8")
        for parallel, cached in ways:
            name = f"{'one at a time' if parallel == 1 else f'{parallel} slots'}, {'cached' if cached else 'no cache'}"
            async with LlamaCppClient(
                config.llama_cpp_model_path, adapter_path=folder / "adapter.gguf", chat_template_file=file,
                context=4096, parallel=parallel,
            ) as client:  # fmt: skip
                evaluator = ToolCallEvaluator(test, parallel=parallel, max_tokens=128, cache_prompt=cached)
                evaluation = await evaluator.evaluate(client, name)
            rows[name] = evaluation, requests / evaluation.seconds
            print(f"{name}: {requests} requests in {evaluation.seconds:.0f} s, exact {evaluation.exact:.3f}", flush=True)  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
