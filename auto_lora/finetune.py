"""Stage 4: trains a LoRA with PEFT on shared-prefix groups.

The base is a hub id, a local folder, or de-quantised straight from the GGUF that will be served.
The loop is plain PyTorch: AdamW, warm-up and cosine, clipping, early stopping on the validation
loss, the best epoch kept. Loss and validation come from `_shared_prefix.run_group`.
"""

from __future__ import annotations

import gc
import math
import os
import random
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from auto_lora._errors import MissingPartError, ModelError, TrainingError
from auto_lora._gguf import check_supported, read_header
from auto_lora._progress import Quiet, Reporter
from auto_lora._runs import write_bytes, write_json
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import StepSums, run_group, save_memory, use_shared_prefix
from auto_lora.encode import PrefixGroup, ToolCallingDataset


@dataclass
class Base:
    """A frozen base model with its tokenizer, on its device."""

    model: Any
    tokenizer: Any
    source: str
    precision: str


@dataclass
class TrainResult:
    """What training did.

    `history` has one entry an epoch: epoch, train_loss, validation_loss, validation_exact
    (share of examples whose every target token is the arg-max), seconds.
    """

    directory: Path
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    examples_per_second: float = 0.0
    seconds: float = 0.0
    learning_rate: float = 0.0
    precision: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "directory": self.directory.name}


def load_tokenizer(config: TrainingConfig) -> Any:
    """The tokenizer of the base model, from its GGUF if one is given."""
    from transformers import AutoTokenizer

    path = config.llama_cpp_model_path
    if path:
        check_supported(read_header(path))
        folder, name = os.path.split(os.path.abspath(path))
        return AutoTokenizer.from_pretrained(folder, gguf_file=name)
    return _from_hub(AutoTokenizer.from_pretrained, config.model_name)


def load_base(config: TrainingConfig, tokenizer: Any = None) -> Base:
    """Loads the frozen base in the configured precision, with its tokenizer if none is given.

    Raises:
        ModelError: the model cannot be found, read or trained with shared prefixes.
        MissingPartError: 4-bit weights without a GPU or bitsandbytes.
    """
    from transformers import AutoModelForCausalLM, GgufConfig

    _quieten()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype, precision = pick_precision(config.mixed_precision, device)
    options: dict[str, Any] = {"dtype": dtype}
    if config.load_in_4bit:
        options |= _four_bit(device)
        precision = "4-bit NF4, computing in bf16"
    if config.llama_cpp_model_path and not config.load_in_4bit:
        folder, name = os.path.split(os.path.abspath(config.llama_cpp_model_path))
        check_supported(read_header(config.llama_cpp_model_path))
        options["quantization_config"] = GgufConfig(dequantize=True)
        try:
            model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, **options)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise ModelError(
                f"transformers cannot de-quantise {name}: {' '.join(str(error).split())[:200]}",
                "give the model's transformers folder with --model-name, or another GGUF of it",
            ) from None
        source = config.llama_cpp_model_path
    else:
        model = _from_hub(AutoModelForCausalLM.from_pretrained, config.model_name, **options)
        source = config.model_name
    if not config.load_in_4bit:
        model.to(device)  # type: ignore[arg-type]
    model.requires_grad_(False)
    model.config.use_cache = False
    use_shared_prefix(model)
    return Base(model, tokenizer or load_tokenizer(config), source, precision)


def _quieten() -> None:
    """Keeps transformers' own progress bars and advice out of the log."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def pick_precision(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Weight type of the frozen base: bf16 only where the hardware multiplies it natively."""
    if wanted == "fp16" and device.type == "cpu":
        raise TrainingError("mixed_precision fp16 needs a GPU", "use --mixed-precision auto")
    if wanted == "auto":
        if device.type == "cuda":
            wanted = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            wanted = "bf16" if cpu_has_amx() else "no"
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "no": torch.float32}
    return dtypes[wanted], "float32" if wanted == "no" else wanted


def cpu_has_amx() -> bool:
    """Whether the processor multiplies bf16 in AMX tiles.

    AVX512-BF16 alone does not pay: 167 GFLOP/s against 319 in float32 (torch 2.13, 984 x 576 x 1536).
    """
    flags: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(flags.get("amx_bf16"))


def auto_learning_rate(model_type: str, hidden_size: int) -> float:
    """Peak learning rate for LoRA: ten times full fine-tuning's 5e-5, scaled by width.

    Source: Thinking Machines, "LoRA Without Regret" (2025), and tinker-cookbook
    `hyperparam_utils.py`: (2000 / hidden size) to the power of 0.781 (Llama) or 0.0775 (Qwen).
    """
    return 5e-4 * (2000 / hidden_size) ** (0.0775 if "qwen" in model_type else 0.781)


def _four_bit(device: torch.device) -> dict[str, Any]:
    from importlib.util import find_spec

    if device.type != "cuda" or find_spec("bitsandbytes") is None:
        missing = "a CUDA GPU" if device.type != "cuda" else "the package bitsandbytes"
        raise MissingPartError(
            f"load_in_4bit needs {missing}",
            "pip install auto-lora[quantize] on a GPU machine, or leave --load-in-4bit out",
        )
    from transformers import BitsAndBytesConfig

    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": quantisation, "device_map": {"": 0}, "dtype": torch.bfloat16}


def _from_hub(load: Any, name: str, **options: Any) -> Any:
    try:
        return load(name, **options)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the base model {name} cannot be loaded: {reason}",
            f"download it (hf download {name}) or give a GGUF with --model-path",
        ) from None


class LoRATrainer:
    """Trains one adapter.

    Args:
        config: LoRA and training settings.
        base: a loaded base; its weights stay untouched and are reused by the next trainer.
        reporter: where progress goes.
    """

    def __init__(self, config: TrainingConfig, base: Base, reporter: Reporter | None = None) -> None:
        self.config = config
        self.base = base
        self.reporter = reporter or Quiet()

    def train(
        self, train: ToolCallingDataset, validation: ToolCallingDataset, directory: str | Path
    ) -> TrainResult:
        """Trains, keeps the epoch with the lowest validation loss and writes the adapter.

        Writes `adapter_model.safetensors`, `adapter_config.json` and `training.json`.

        Raises:
            TrainingError: out of memory, or a loss that is not finite.
        """
        config, directory = self.config, Path(directory)
        torch.manual_seed(config.seed)
        peft_model = self._attach()
        try:
            result = self._loop(peft_model, train, validation, directory)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise TrainingError(
                f"out of memory: {' '.join(str(error).split())[:200]}",
                "lower --batch-size, add --gradient-checkpointing, or --load-in-4bit on a GPU",
            ) from None
        finally:
            peft_model.unload()
            del peft_model
            release_memory()
        write_json(directory / "training.json", result.to_json())
        return result

    def _attach(self) -> Any:
        from peft import LoraConfig, get_peft_model

        config = self.config
        lora = LoraConfig(
            r=config.lora_r,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules=config.target_modules,
            task_type="CAUSAL_LM",
        )
        model = self.base.model
        if config.gradient_checkpointing:
            save_memory(model)
        with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 under an old name
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            peft_model = get_peft_model(model, lora)
        peft_model.peft_config["default"].base_model_name_or_path = self.base.source
        return peft_model

    def _loop(
        self, peft_model: Any, train: ToolCallingDataset, validation: ToolCallingDataset, directory: Path
    ) -> TrainResult:
        config, model = self.config, peft_model.get_base_model()
        weights = [p for p in peft_model.parameters() if p.requires_grad]
        rate = config.learning_rate or auto_learning_rate(model.config.model_type, model.config.hidden_size)
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=config.weight_decay)
        order = random.Random(config.seed)
        steps = config.num_epochs * len(_plan_steps(train.groups, config, order))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _warmup_cosine(steps, config.warmup_ratio))
        order = random.Random(config.seed)
        result = TrainResult(directory, learning_rate=rate, precision=self.base.precision)
        started, best, stale, seen = time.monotonic(), math.inf, 0, 0
        with self.reporter.task("training", config.num_epochs * len(train)) as task:
            for epoch in range(1, config.num_epochs + 1):
                sums = StepSums()
                peft_model.train()
                for step in _plan_steps(train.groups, config, order):
                    step_sums = optimizer_step(model, step, config, weights, optimizer)
                    scheduler.step()
                    sums += step_sums
                    seen += step_sums.examples
                    pace = seen / (time.monotonic() - started)
                    task.advance(
                        step_sums.examples,
                        f"epoch {epoch}  loss {step_sums.mean_loss:.3f}  {pace:.2f} examples/s",
                    )
                result.examples_per_second = seen / (time.monotonic() - started)
                checked = validate(peft_model, validation, config.batch_size)
                result.history.append(_epoch_row(epoch, sums, checked, time.monotonic() - started))
                if checked.mean_loss < best:
                    best, stale, result.best_epoch = checked.mean_loss, 0, epoch
                    save_adapter(peft_model, directory)
                else:
                    stale += 1
                if config.early_stopping_patience and stale >= config.early_stopping_patience:
                    break
        result.seconds = time.monotonic() - started
        return result


def optimizer_step(
    model: Any, step: list[PrefixGroup], config: TrainingConfig, weights: list[Any], optimizer: Any
) -> StepSums:
    """One update from the examples of `step`, which may begin with several prefixes."""
    tokens = sum(sum(e.target) for group in step for e in group.examples)
    sums = StepSums()
    for group in step:
        sums += run_group(model, group, config.batch_size, tokens)
    if not math.isfinite(sums.loss):
        raise TrainingError(
            "the training loss is not finite", "lower --learning-rate or use --mixed-precision no"
        )
    torch.nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return sums


def validate(model: Any, dataset: ToolCallingDataset, micro: int) -> StepSums:
    """Teacher-forced loss and greedy exactness: one shared-prefix forward over the data set."""
    model.eval()
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    sums = StepSums()
    for group in dataset.groups:
        sums += run_group(base, group, micro, None)
    return sums


def _plan_steps(
    groups: list[PrefixGroup], config: TrainingConfig, order: random.Random
) -> list[list[PrefixGroup]]:
    """An epoch's optimizer steps: full ones within a group, leftovers of all groups joined."""
    size = config.batch_size * config.gradient_accumulation_steps
    steps: list[list[PrefixGroup]] = []
    left: list[PrefixGroup] = []
    for group in groups:
        examples = list(group.examples)
        order.shuffle(examples)
        full = len(examples) - len(examples) % size
        for start in range(0, full, size):
            steps.append([PrefixGroup(group.prefix, tuple(examples[start : start + size]))])
        if examples[full:]:
            left.append(PrefixGroup(group.prefix, tuple(examples[full:])))
    open_step: list[PrefixGroup] = []
    for part in left:
        if open_step and sum(len(g.examples) for g in [*open_step, part]) > size:
            steps.append(open_step)
            open_step = []
        open_step.append(part)
    if open_step:
        steps.append(open_step)
    order.shuffle(steps)
    return steps


def _warmup_cosine(steps: int, warmup_ratio: float) -> Any:
    warmup = max(1, round(steps * warmup_ratio))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

    return factor


def _epoch_row(epoch: int, sums: StepSums, checked: StepSums, seconds: float) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_loss": round(sums.mean_loss, 5),
        "validation_loss": round(checked.mean_loss, 5),
        "validation_exact": round(checked.exact / checked.examples, 4),
        "seconds": round(seconds, 1),
    }


def save_adapter(peft_model: Any, directory: Path) -> None:
    """Writes the adapter as PEFT does, each file whole or not at all."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    tensors = {
        k: v.detach().float().cpu().contiguous()
        for k, v in get_peft_model_state_dict(peft_model, save_embedding_layers=False).items()
    }
    write_bytes(directory / "adapter_model.safetensors", save(tensors, {"format": "pt"}))
    settings = peft_model.peft_config["default"].to_dict()
    settings["inference_mode"] = True
    settings["target_modules"] = sorted(settings["target_modules"])
    write_json(directory / "adapter_config.json", settings)


def release_memory() -> None:
    """Gives memory of dropped models back, on the GPU too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
