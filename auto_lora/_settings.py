"""All settings in one list: the fields of `TrainingConfig`.

Each field carries its help, unit, range and flag in its metadata; the command line, the
YAML keys and the README's table are derived from them (`flags`, `from_yaml`, `options_table`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from auto_lora._errors import ConfigError
from auto_lora._model_url import fault_of_url

CATEGORIES = ("single", "parallel", "chain", "optional", "no_call", "missing_argument")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED_PROJECTIONS = ("qkv_proj", "gate_up_proj")  # Phi-3's; llama.cpp's script exports them

LOWEST_RATE = 1e-7  # learning rate

# What llama.cpp's converter drops or mis-scales in silence, so refused before training.
NOT_IN_GGUF = {
    "use_dora": "GGUF adapters hold no DoRA magnitude vectors",
    "use_rslora": "llama.cpp scales by alpha / rank, so rsLoRA would be served mis-scaled",
    "alpha_pattern": "a GGUF adapter has one alpha, so other modules would be served mis-scaled",
    "rank_pattern": "llama.cpp divides alpha by each rank, which PEFT with one alpha matches only by chance",
    "modules_to_save": "a GGUF adapter holds only low-rank pairs, no whole modules",
    "bias": "a GGUF adapter holds no biases",
    "lm_head": "llama.cpp applies no adapter to the output head of tied models",
    "embed_tokens": "llama.cpp's LoRA for token embeddings is not supported by every backend",
}

EXAMPLES = 2400  # training conversations where nobody says how many, and twice as many where tools have
MANY_PARAMETERS = 5  # or more on average: snips (7.6) had 91 of 350 requests exact, with twice as many 166; HWU (4.8) 168 and 180 of 280


class HasProperties(Protocol):
    """A tool, as far as it matters here."""

    @property
    def properties(self) -> Mapping[str, Any]: ...


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    flag: str = "",
    kind: type = str,
    group: str = "training",
) -> Any:
    """A field with what the command line, YAML and README need to know about it."""
    meta = {
        "help": help,
        "low": low,
        "high": high,
        "choices": choices,
        "flag": flag,
        "kind": kind,
        "group": group,
    }
    if isinstance(default, (dict, list)):
        return field(default_factory=lambda: type(default)(default), metadata=meta)
    return field(default=default, metadata=meta)


@dataclass
class TrainingConfig:
    """Every setting of a run, checked when it is made.

    Raises:
        ConfigError: a value outside its range; names field, value and range.
    """

    # fmt: off
    model_name: str = setting("Qwen/Qwen3-4B-Instruct-2507", "base model: hub id or local folder", group="model")
    llama_cpp_model_path: str | None = setting(None, "base model: GGUF file, trained on de-quantised and served as it is; with load_in_4bit only served, and model_name is trained", flag="model-path", group="model")
    tools: str | None = setting(None, "tools: JSON, module.py or OpenAPI file, mcp:stdio COMMAND, MCP server's URL", group="model")

    num_synthetic_examples: int = setting(0, "training conversations written for iteration 1; 0: 2400, and 4800 for tools of five parameters or more on average", kind=int, low=0, high=10_000_000, flag="examples", group="data")
    num_validation_examples: int = setting(40, "validation conversations: early stopping, error analysis, choice of the best", kind=int, low=5, high=100_000, group="data")
    num_test_examples: int = setting(100, "frozen test conversations: never trained on, and no choice is made by them; the exit code says what they showed", kind=int, low=5, high=100_000, group="data")
    test_file: str | None = setting(None, "JSONL of your own cases: they are the test, and nothing like them is trained on", group="data")
    seed_prompts: str | None = setting(None, "text or JSONL of your own prompts: the writer follows how they are typed (8 or more); those with calls, or with an empty list of them, are trained on", group="data")
    mix: str | None = setting(None, "DATASET[:share] to train on beside: JSONL of messages and tools, or a hub id (takes the package datasets); share 0.2", group="data")
    category_shares: dict[str, float] = setting({"single": 0.38, "parallel": 0.12, "chain": 0.08, "optional": 0.22, "no_call": 0.15, "missing_argument": 0.05}, "share of each category, summing to 1", kind=dict, group="data")
    training_shares: dict[str, float] = setting({}, "share of each category in training where it should differ, such as more of what is hard; none: category_shares", kind=dict, group="data")
    closing_share: float = setting(0.3, "share of the training conversations that go on to the closing answer; the others end with their last call, which halves their tokens", kind=float, low=0.0, high=1.0, group="data")
    rehearsal_share: float = setting(0.04, "ordinary prompts trained on with the base's own answers, as a share of the conversations (some 200 at most), so that the base forgets less; none with activated", kind=float, low=0.0, high=1.0, group="data")
    distractor_share: float = setting(0.0, "share of the training groups whose tool list also holds 2 to 6 foreign tools, shuffled", kind=float, low=0.0, high=1.0, group="data")
    masked_share: float = setting(0.0, "share of the training groups with meaningless tool and parameter names", kind=float, low=0.0, high=1.0, group="data")
    system_prompt: str = setting("", "system prompt before the tool list, in training and serving", group="data")
    writer: str = setting("builtin", "who words the prompts: builtin needs no model, llm asks writer_url or the local model", choices=("builtin", "llm", "both"), group="data")
    writer_url: str | None = setting(None, "OpenAI-compatible URL of the writing model (key in AUTO_LORA_API_KEY)", group="data")
    writer_model: str = setting("default", "model name to ask for at writer_url", group="data")
    temperature: float = setting(0.8, "sampling temperature of the writing model", kind=float, low=0.0, high=2.0, group="data")
    top_p: float = setting(0.95, "nucleus of the writing model", kind=float, low=0.01, high=1.0, group="data")

    lora_r: int = setting(16, "LoRA rank", kind=int, low=4, high=64, group="lora")
    lora_alpha: int = setting(32, "LoRA alpha; the adapter is scaled by alpha / rank", kind=int, low=1, high=512, group="lora")
    init_adapter: str | None = setting(None, "PEFT adapter folder whose weights the first iteration starts from; same rank, alpha and target modules", group="lora")
    activated: bool = setting(False, "activated LoRA: the adapter acts from the user's first message on, so that the base alone reads the tools, once for a whole training; conversations without tools stay the base's; needs llama.cpp of September 2025 or later", kind=bool, group="lora")
    lora_dropout: float = setting(0.1, "dropout before LoRA A", kind=float, low=0.0, high=0.9, group="lora")
    target_modules: list[str] = setting(list(PROJECTIONS), "projections that get an adapter", kind=list, group="lora")

    num_epochs: int = setting(1, "passes over the training data; fresh conversations teach more than the same ones again", kind=int, low=1, high=1000)
    batch_size: int = setting(16, "examples of an optimizer step (times gradient_accumulation_steps); run in smaller groups where memory is short or that is as fast, with the same result", kind=int, low=1, high=4096)
    gradient_accumulation_steps: int = setting(1, "times batch_size: examples of an optimizer step, over all processes; they share one pass over the tools", kind=int, low=1, high=4096)
    learning_rate: float | None = setting(None, "peak learning rate; none: by architecture and hidden size, 3.5e-3 for SmolLM2-135M (5e-4 x (2000 / hidden size) ^ 0.78 for Llama, ^ 1.57 up to 3.5e-3 below 2000, ^ 0.08 for Qwen)", kind=float, low=LOWEST_RATE, high=1.0)
    warmup_ratio: float = setting(0.1, "share of the steps with rising learning rate; cosine after it", kind=float, low=0.0, high=0.9)
    weight_decay: float = setting(0.0, "AdamW weight decay", kind=float, low=0.0, high=1.0)
    max_grad_norm: float = setting(1.0, "gradients are clipped to this norm", kind=float, low=1e-3, high=1e3)
    early_stopping_patience: int = setting(2, "epochs without a better validation loss before training stops, where there are several; 0: never", kind=int, low=0, high=1000)
    max_seq_length: int = setting(8192, "tokens of one conversation with its tools; longer ones are dropped and counted", kind=int, low=64, high=1_000_000)
    mixed_precision: str = setting("auto", "weights of the frozen base; auto: bf16 on a GPU that has it, else fp16; on a processor bf16 where it is measured to be faster, else float32", choices=("auto", "bf16", "fp16", "no"))
    load_in_4bit: bool = setting(False, "NF4 base weights through bitsandbytes (GPU only), of model_name, which must be the model of model_path", kind=bool)
    gradient_checkpointing: bool | None = setting(None, "recompute activations: slower, far less memory; none: where it would not fit without", kind=bool)
    shard_base: bool = setting(False, "split the frozen base over the processes of a launcher (FSDP)", kind=bool)
    num_threads: int = setting(0, "threads of the processor; 0: as PyTorch chooses", kind=int, low=0, high=1024)
    checkpoint_seconds: float = setting(60.0, "seconds between checkpoints within training", kind=float, low=0.0, high=86400.0)
    seed: int = setting(42, "seed of data, initial weights and order", kind=int, low=0, high=2**31 - 1)

    num_iterations: int = setting(2, "rounds of data, training and scoring; stops early when a round gains no more on validation than its error bar", kind=int, low=1, high=100, flag="iterations", group="loop")
    target_accuracy: float = setting(0.98, "validation exact accuracy at which no further iteration is run", kind=float, low=0.0, high=1.0, group="loop")

    llama_cpp_url: str | None = setting(None, "use this running llama.cpp server for the writing model instead of starting one", group="serving")
    port: int = setting(0, "port of the server on 127.0.0.1; 0: a free one", kind=int, low=0, high=65535, group="serving")
    parallel_requests: int = setting(4, "requests in flight while a language model writes, and while scoring", kind=int, low=1, high=64, group="serving")
    request_timeout: float = setting(300.0, "seconds before a request is given up", kind=float, low=1.0, high=86400.0, group="serving")
    max_new_tokens: int = setting(256, "tokens an answer may have while scoring", kind=int, low=16, high=8192, group="serving")
    judge_url: str | None = setting(None, "OpenAI-compatible URL of the model that judges final answers; 'base': the base model itself", group="serving")
    judge_model: str = setting("default", "model name to ask for at judge_url", group="serving")

    num_final_answers: int = setting(20, "closing answers compared, by rule and by the judge; 0: none", kind=int, low=0, high=100_000, group="serving")
    num_forgetting_prompts: int = setting(24, "ordinary prompts asked to see what the adapter forgets; 0: none", kind=int, low=0, high=42, group="serving")
    forgetting_tokens: int = setting(48, "tokens an answer to an ordinary prompt may have", kind=int, low=8, high=4096, group="serving")
    num_scale_cases: int = setting(20, "validation conversations asked at each adapter scale from 0.25 to 1.25; 0: none", kind=int, low=0, high=100_000, group="serving")
    max_forgetting_kl: float = setting(1.0, "KL per token to the base on ordinary prompts that an adapter must stay below; 0: no limit", kind=float, low=0.0, high=100.0, group="serving")
    max_degenerate: float = setting(0.25, "share of ordinary prompts, beyond the base's own, whose answers may be empty, repeat themselves or run on; 1: no limit", kind=float, low=0.0, high=1.0, group="serving")

    output_dir: str = setting("lora_adapters", "folder for data, adapters and figures", flag="output", group="output")
    # fmt: on

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            setattr(self, f.name, _checked(f, getattr(self, f.name)))
        _check_shares("category_shares", self.category_shares)
        if self.training_shares:
            _check_shares("training_shares", self.training_shares)
        _check_targets(self.target_modules)
        if self.mix is not None:
            split_mix(self.mix)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "settings") -> TrainingConfig:
        """A config from field names and values; unknown names are errors with a suggestion."""
        names = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            if key in NOT_IN_GGUF:
                raise ConfigError(f"{source}: {key} is refused: {NOT_IN_GGUF[key]}", f"remove {key}")
            if key not in names:
                by_flag = {flag_of(f).removeprefix("--").replace("-", "_"): f.name for f in flags()}
                near = difflib.get_close_matches(str(key).replace("-", "_"), [*by_flag, *names], 1)
                near = [by_flag.get(n, n) for n in near]
                raise ConfigError(
                    f"{source}: unknown setting {key!r}",
                    f"did you mean {near[0]}?" if near else "--help lists the settings",
                )
        return cls(**values)

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: Any) -> TrainingConfig:
        """A config from a YAML file of field names; `overrides` win over the file.

        Raises:
            ConfigError: the file is missing, not YAML, or holds an unknown or wrong setting.
        """
        return cls.from_dict({**cls.read_yaml(path), **overrides}, str(path))

    @staticmethod
    def read_yaml(path: str | Path) -> dict[str, Any]:
        """The settings in a YAML file, unchecked."""
        import yaml

        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig")) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"config file {path} cannot be read: {error}", "give a YAML file with --config"
            ) from None
        except yaml.YAMLError as error:
            first = " ".join(str(error).split())
            raise ConfigError(f"config file {path} is not YAML: {first}", "mend it at that place") from None
        if not isinstance(data, dict):
            raise ConfigError(f"config file {path} holds no settings", "write lines such as: lora_r: 16")
        return data

    def for_tools(self, tools: Sequence[HasProperties]) -> TrainingConfig:
        """These settings, with the number of conversations that the tools ask for where none is given."""
        if self.num_synthetic_examples:
            return self
        parameters = sum(len(tool.properties) for tool in tools)
        many = parameters >= MANY_PARAMETERS * max(len(tools), 1)
        return dataclasses.replace(self, num_synthetic_examples=2 * EXAMPLES if many else EXAMPLES)

    @property
    def slots(self) -> int:
        """Requests that are served at once to the adapter and, as it is asked the same way, to its base.

        One for an activated adapter: of several at once llama.cpp answers some by the base alone (2 of 24; none of 24 with one).
        """
        return 1 if self.activated else self.parallel_requests

    @property
    def num_rehearsed(self) -> int:
        """Ordinary prompts to rehearse, at most; none for an activated adapter, which does not act without tools."""
        return 0 if self.activated else round(self.rehearsal_share * self.num_synthetic_examples)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def flag_of(f: dataclasses.Field[Any]) -> str:
    """The command-line flag of a field: `lora_r` is `--lora-r`."""
    return "--" + (f.metadata["flag"] or f.name.replace("_", "-"))


def flags() -> list[dataclasses.Field[Any]]:
    """The fields in order, for the parser and the README's table."""
    return list(dataclasses.fields(TrainingConfig))


def range_of(f: dataclasses.Field[Any]) -> str:
    """The allowed values of a field in words, "" when anything goes."""
    if f.metadata["choices"]:
        return "/".join(f.metadata["choices"])
    low, high = f.metadata["low"], f.metadata["high"]
    return f"{low:g} to {high:g}" if low is not None else ""


def options_table() -> str:
    """The README's table of settings, as Markdown."""
    rows = ["| flag | YAML key | default | range | what |", "|---|---|---|---|---|"]
    for f in flags():
        default = TrainingConfig.__dataclass_fields__[f.name].default
        if default is dataclasses.MISSING:
            default = f.default_factory()  # type: ignore[misc, operator]
            default = (
                ",".join(f"{k}={v:g}" for k, v in default.items())
                if isinstance(default, dict)
                else ",".join(default)
            )
        shown = "" if default in (None, "") else f"`{default}`"
        rows.append(f"| `{flag_of(f)}` | `{f.name}` | {shown} | {range_of(f)} | {f.metadata['help']} |")
    return "\n".join(rows)


def parse_text(f: dataclasses.Field[Any], text: str) -> Any:
    """A field's value from command-line text.

    Lists are separated by commas, mappings are `name=number` separated by commas.

    Raises:
        ConfigError: the text does not read as the field's kind.
    """
    kind = f.metadata["kind"]
    try:
        if kind is list:
            return [part.strip() for part in text.split(",") if part.strip()]
        if kind is dict:
            parts = [part.split("=") for part in text.split(",") if part.strip()]
            return {k.strip(): float(v) for k, v in parts}
        if text.lower() == "none" and "None" in str(f.type):
            return None
        return kind(text)
    except ValueError:
        raise ConfigError(f"{flag_of(f)} is {text!r}", f"give {_wanted(f)}") from None


def _wanted(f: dataclasses.Field[Any]) -> str:
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        list: "a list of names",
        dict: "name=number pairs",
        str: "text",
    }
    allowed = range_of(f)
    return words[f.metadata["kind"]] + (f", {allowed}" if allowed else "")


def _checked(f: dataclasses.Field[Any], value: Any) -> Any:
    kind = f.metadata["kind"]
    if value is None and "None" in str(f.type):
        return None
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):  # YAML reads 1e-4 as text
            value = float(value)
    if isinstance(value, (tuple, Path)):
        value = list(value) if isinstance(value, tuple) else str(value)
    wrong = not isinstance(value, kind) or (kind is int and isinstance(value, bool))
    low, high, choices = f.metadata["low"], f.metadata["high"], f.metadata["choices"]
    if not wrong and low is not None:
        wrong = not low <= value <= high
    if value == "" and ("None" in str(f.type) or f.name == "output_dir"):
        raise ConfigError(f"{f.name} is empty", "give a value, or leave it out")
    itself = f.name == "judge_url" and value == "base"
    if f.name.endswith("_url") and not (wrong or itself) and (fault := fault_of_url(value)):
        raise ConfigError(f"{f.name} is {value!r}", fault)
    if not wrong and choices:
        wrong = value not in choices
    if wrong:
        raise ConfigError(f"{f.name} is {value!r}", f"it must be {_wanted(f)}")
    return value


def split_mix(text: str | None) -> tuple[str, float]:
    """A data set's name and its share of the training data; 0.2 where none is given.

    Raises:
        ConfigError: the share is not above 0 and at most 0.9.
    """
    name, colon, share = (text or "").rpartition(":")
    try:
        found = float(share) if colon else 0.2
    except ValueError:  # a colon of the path
        name, found = text or "", 0.2
    name = name if colon else text or ""
    if not 0 < found <= 0.9 or not name:
        raise ConfigError(
            f"mix is {text!r}", "give DATASET or DATASET:share, the share above 0 and at most 0.9"
        )
    return name, found


def _check_shares(field: str, shares: dict[str, float]) -> None:
    for name, share in shares.items():
        if name not in CATEGORIES:
            raise ConfigError(f"{field} names {name!r}", f"the categories are {', '.join(CATEGORIES)}")
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 <= share <= 1:
            raise ConfigError(f"{field}[{name}] is {share!r}", "shares are numbers from 0 to 1")
    if not abs(sum(shares.values()) - 1) <= 1e-6:
        raise ConfigError(f"{field} sum to {sum(shares.values()):g}", "they must sum to 1")


def _check_targets(modules: list[str]) -> None:
    if not modules:
        raise ConfigError("target_modules is empty", f"choose from {', '.join(PROJECTIONS)}")
    for name in modules:
        if isinstance(name, str) and name in NOT_IN_GGUF:
            raise ConfigError(
                f"target_modules names {name}: {NOT_IN_GGUF[name]}", f"choose from {', '.join(PROJECTIONS)}"
            )
        if not isinstance(name, str) or name not in PROJECTIONS + FUSED_PROJECTIONS:
            raise ConfigError(f"target_modules names {name!r}", f"choose from {', '.join(PROJECTIONS)}")


__all__ = [
    "CATEGORIES", "NOT_IN_GGUF", "PROJECTIONS", "TrainingConfig",
    "flag_of", "flags", "options_table", "parse_text", "range_of", "split_mix",
]  # fmt: skip
