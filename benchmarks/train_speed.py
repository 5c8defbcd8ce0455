"""Examples per second, peak memory and validation loss: auto_lora, TRL's SFTTrainer, a plain padded loop.

Same model, conversations, LoRA, constant learning rate, optimizer steps; each engine in a process of its own, one after the
other. TRL and the loop get their best setting for the machine: no checkpointing, batch 1 on a CPU, and the
weight type that a two-example trial finds faster. Loss is on assistant tokens only, in all three.

    python benchmarks/train_speed.py                  # prefixes of about 150, 600 and 2,150 tokens
    python benchmarks/train_speed.py --prefixes 2150  # make bench-train
    python benchmarks/train_speed.py --scaling        # auto_lora alone: group sizes, data sizes

With a CUDA GPU the model is the Qwen3-4B shape with random weights in bf16. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).parent / "tools.json"
ENGINES = ("auto_lora", "trl", "padded")
RATE, RANK, ALPHA, SEED = 1e-3, 16, 32, 1
QWEN3_4B = {
    "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
    "max_position_embeddings": 40960,
}  # fmt: skip
H100_BF16 = 989e12  # dense FLOP/s, NVIDIA's data sheet; for the utilisation figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefixes", default="150,600,2150", help="tokens of tools, about; comma-separated")
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32, help="examples per optimizer step")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument(
        "--layers", type=int, default=0, help="fewer layers of the Qwen3-4B shape, to try it on a CPU"
    )
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    result = scaling(args) if args.scaling else compare(args)
    print(json.dumps({"machine": machine(), **result}))


# The parent: runs children, prints rows.


def compare(args: argparse.Namespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for prefix in map(int, args.prefixes.split(",")):
        for engine in args.engines.split(","):
            job = {
                "engine": engine, "prefix": prefix, "examples": args.examples, "batch": args.batch,
                "layers": args.layers, "dtype": "auto",
            }  # fmt: skip
            if engine != "auto_lora":
                trials = {d: run({**job, "dtype": d, "examples": 2, "batch": 2}) for d in dtypes()}
                job["dtype"] = max(trials, key=lambda d: trials[d].get("examples_per_second", 0))
            rows.append(run(job))
            show(rows[-1])
    ratios = []
    for prefix in sorted({r["prefix"] for r in rows}):
        by = {r["engine"]: r for r in rows if r["prefix"] == prefix}
        ours = by.get("auto_lora", {})
        for other in ("trl", "padded"):
            if ours.get("examples_per_second") and by.get(other, {}).get("examples_per_second"):
                ratio = ours["examples_per_second"] / by[other]["examples_per_second"]
                ratios.append({"prefix": prefix, "against": other, "times": round(ratio, 2)})
                print(f"{prefix} tokens of tools: {ratio:.1f} times {other}", flush=True)
    return {"rows": rows, "ratios": ratios}


def scaling(args: argparse.Namespace) -> dict[str, Any]:
    """auto_lora alone: cost and memory over the group size, then over the size of the data set."""
    prefix = int(args.prefixes.split(",")[-1])
    job = {"engine": "auto_lora", "prefix": prefix, "layers": args.layers, "dtype": "auto"}
    jobs = [{**job, "examples": n, "batch": n} for n in (1, 8, 32, 64, 256)]
    jobs += [{**job, "examples": n, "batch": 32, "steps": 1} for n in (100, 1000, 10_000)]
    rows = []
    for each in jobs:
        rows.append(run(each))
        show(rows[-1])
    return {"rows": rows}


def run(job: dict[str, Any]) -> dict[str, Any]:
    argv = [sys.executable, __file__, "--child", json.dumps(job)]
    environment = {**os.environ, "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {**job, "failed": (done.stderr.strip().splitlines() or [str(done.returncode)])[-1]}
    return {**job, **json.loads(done.stdout.strip().splitlines()[-1])}


def show(row: dict[str, Any]) -> None:
    if "failed" in row:
        print(f"{row['engine']:10} {row['prefix']:5} failed: {row['failed']}", flush=True)
        return
    print(
        f"{row['engine']:10} prefix {row['prefix']:5}  data {row['examples']:5}  group {row['batch']:4}  {row['dtype']:8} "
        f"{row['examples_per_second']:.3f} examples/s  peak {row['peak_gib']:.2f} GiB  "
        f"validation loss {row['validation_loss']}  {row.get('gpu', '')}",
        flush=True,
    )


def dtypes() -> tuple[str, ...]:
    import torch

    return ("bf16",) if torch.cuda.is_available() else ("float32", "bf16")


def machine() -> dict[str, Any]:
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{p: version(p) for p in ("torch", "transformers", "peft", "trl")},
    }


# A child: one engine on one job.


def child(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from auto_lora._base_model import pick_precision
    from auto_lora._memory import keep_freed_memory
    from auto_lora._shared_prefix import use_shared_prefix

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = {"auto": "auto", "float32": "no", "bf16": "bf16"}[job["dtype"]]
    dtype, precision = pick_precision(wanted, device)
    model, tokenizer = load_model(job, dtype, device)
    train, validation = data(job, tokenizer)
    if job["engine"] == "auto_lora":
        keep_freed_memory()
        use_shared_prefix(model)
    peak_before = memory_peak(device)
    seconds, trained, peft_model = ENGINE[job["engine"]](job, model, tokenizer, train, validation)
    peak = memory_peak(device)
    tokens = sum(len(e) for e in train.examples[:trained])
    result = {
        "dtype": precision,
        "prefix": len(train.groups[0].prefix),
        "examples_per_second": round(trained / seconds, 4),
        "seconds": round(seconds, 2),
        "raw_tokens_per_second": round(tokens / seconds, 1),
        "loaded_gib": round(peak_before / 2**30, 2),
        "peak_gib": round(peak / 2**30, 2),
        "validation_loss": loss_of(peft_model, validation) if not job.get("steps") else None,
    }
    if device.type == "cuda":
        flop = 4 * sum(p.numel() for n, p in model.named_parameters() if "lora_" not in n) * tokens
        result["gpu"] = (
            f"{tokens / seconds:.0f} raw tokens/s, {flop / seconds / H100_BF16:.1%} of an H100's peak"
        )
    return result


def load_model(job: dict[str, Any], dtype: Any, device: Any) -> tuple[Any, Any]:
    """SmolLM2-135M from its GGUF on a CPU, the Qwen3-4B shape with random weights on a GPU."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    from auto_lora.model_source import embedded_model

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    gguf = embedded_model()
    assert gguf is not None, "run: make install"
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    torch.manual_seed(SEED)
    if device.type == "cuda" or job["layers"]:
        shape = QWEN3_4B | ({"num_hidden_layers": job["layers"]} if job["layers"] else {})
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen3", **shape), dtype=dtype)
    else:
        quantisation = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=dtype, quantization_config=quantisation
        )
    model.config.use_cache = False
    return model.requires_grad_(False), tokenizer


def data(job: dict[str, Any], tokenizer: Any) -> tuple[Any, Any]:
    """Conversations for as many tools as make a prefix of about the wanted length."""
    from auto_lora import SyntheticDataGenerator, ToolCallingDataset, TrainingConfig, load_tools
    from auto_lora.encode import ChatTemplate

    template, tools = ChatTemplate(tokenizer), load_tools(TOOLS)
    ask = [{"role": "user", "content": "x"}]

    def length(n: int) -> int:
        return len(template.encode(template.render(ask, [t.to_openai() for t in tools[:n]], prompt=True)))

    count = min(range(1, len(tools) + 1), key=lambda n: abs(length(n) - job["prefix"]))
    generator = SyntheticDataGenerator(tools[:count], TrainingConfig(seed=SEED))
    train = ToolCallingDataset(generator.generate(job["examples"], "train"), template)
    return train, ToolCallingDataset(generator.generate(8, "validation"), template)


def settings(job: dict[str, Any]) -> Any:
    from auto_lora import TrainingConfig

    cuda = dtypes() == ("bf16",)
    return TrainingConfig(
        lora_r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, num_epochs=1, learning_rate=RATE, seed=SEED,
        batch_size=min(job["batch"], 32 if cuda else 8), gradient_accumulation_steps=max(1, job["batch"] // (32 if cuda else 8)),
        checkpoint_seconds=86400.0,
    )  # fmt: skip


def with_auto_lora(job: dict[str, Any], model: Any, tokenizer: Any, train: Any, validation: Any) -> Any:
    """The trainer's own steps, without its epochs' validation and files, which the others do not have either."""
    import torch

    from auto_lora._base_model import Base
    from auto_lora.encode import PrefixGroup
    from auto_lora.finetune import LoRATrainer

    config = settings(job)
    trainer = LoRATrainer(config, Base(model, tokenizer, "benchmark", ""))
    trainer._fit_into_memory(train.groups)
    torch.manual_seed(SEED)
    peft_model = trainer._attach()
    named = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(named.values(), lr=RATE, weight_decay=0.0)
    # All engines take the same examples in the same order from the same initial adapter.
    (group,) = train.groups
    starts = range(0, len(group.examples), job["batch"])
    plan = [[PrefixGroup(group.prefix, group.examples[i : i + job["batch"]])] for i in starts]
    plan = plan[: job.get("steps")]
    peft_model.train()
    started, trained = time.perf_counter(), 0
    for step in plan:
        trained += trainer._step(peft_model, step, named, optimizer).examples
    return time.perf_counter() - started, trained, peft_model


def with_trl(job: dict[str, Any], model: Any, tokenizer: Any, train: Any, validation: Any) -> Any:
    """SFTTrainer, completion-only loss over ready-made tokens."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from auto_lora._settings import PROJECTIONS

    cuda = torch.cuda.is_available()
    rows = Dataset.from_list(
        [{"input_ids": list(e.ids), "completion_mask": [int(t) for t in e.target]} for e in train.examples]
    )
    with tempfile.TemporaryDirectory() as folder:
        options = SFTConfig(
            output_dir=folder, per_device_train_batch_size=4 if cuda else 1,
            gradient_accumulation_steps=max(1, job["batch"] // (4 if cuda else 1)),
            num_train_epochs=1, learning_rate=RATE, lr_scheduler_type="constant", weight_decay=0.0,
            completion_only_loss=True, max_length=None, packing=False, gradient_checkpointing=cuda, use_cpu=not cuda,
            bf16=False, fp16=False, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, seed=SEED,
            dataloader_pin_memory=False, optim="adamw_torch", train_sampling_strategy="sequential",
        )  # fmt: skip
        lora = LoraConfig(
            r=RANK,
            lora_alpha=ALPHA,
            lora_dropout=0.0,
            target_modules=list(PROJECTIONS),
            task_type="CAUSAL_LM",
        )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        torch.manual_seed(SEED)
        trainer = SFTTrainer(
            model=model, args=options, train_dataset=rows, processing_class=tokenizer, peft_config=lora
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started, len(rows), trainer.model


def with_padding(job: dict[str, Any], model: Any, tokenizer: Any, train: Any, validation: Any) -> Any:
    """What one writes by hand: PEFT, batches of one on a CPU, logits at every position."""
    import torch
    from peft import LoraConfig, get_peft_model

    from auto_lora._settings import PROJECTIONS

    lora = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM"
    )
    torch.manual_seed(SEED)
    peft_model = get_peft_model(model, lora)
    peft_model.train()
    optimizer = torch.optim.AdamW(
        [p for p in peft_model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0
    )
    device = model.get_input_embeddings().weight.device
    batches = [train.examples[i : i + job["batch"]] for i in range(0, len(train.examples), job["batch"])]
    started = time.perf_counter()
    for batch in batches:
        targets = sum(e.targets for e in batch)
        for e in batch:
            ids = torch.tensor([e.ids], device=device)
            labels = torch.where(torch.tensor([e.target], device=device), ids, -100)
            logits = peft_model(input_ids=ids).logits.float()
            loss = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum")
            (loss / targets).backward()
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - started, len(train.examples), peft_model


ENGINE = {"auto_lora": with_auto_lora, "trl": with_trl, "padded": with_padding}


def loss_of(peft_model: Any, validation: Any) -> float:
    """The same measure for all three."""
    from auto_lora._shared_prefix import run_group, use_shared_prefix

    base = peft_model.get_base_model()
    use_shared_prefix(base)
    peft_model.eval()
    sums = [run_group(base, group, 4, None) for group in validation.groups]
    return round(sum(s.loss for s in sums) / sum(s.tokens for s in sums), 5)


def memory_peak(device: Any) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
