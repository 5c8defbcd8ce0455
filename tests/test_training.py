"""The training loop: what it remembers, what it needs, and that nothing about the machine changes its result."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from auto_lora import _shared_prefix, training_jobs
from auto_lora._activation import BasePrefixes
from auto_lora._checkpoint import load_checkpoint, save_checkpoint
from auto_lora._errors import ModelError, TrainingError
from auto_lora._fused_lora import _LoRALinear, fuse_lora
from auto_lora._memory import Shape, fitting, free_bytes, step_bytes
from auto_lora._schedule import plan_steps
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import StepSums, run_group, use_shared_prefix
from auto_lora.encode import group_by_prefix
from auto_lora.finetune import CHECKPOINT, LoRATrainer
from tests.test_shared_prefix import distance, examples, padded_gradients, shared_gradients, tiny
from tests.train_tiny import Data, tiny_base

ROOT = Path(__file__).parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def train_tiny(out: Path, *flags: str, processes: int = 1, check: bool = True, **options):
    """Runs `tests/train_tiny.py`, with torchrun where there are several processes."""
    argv = [sys.executable, "-m"]
    if processes > 1:
        argv += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    argv += ["tests.train_tiny", str(out), json.dumps(options), *flags]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, timeout=240
    )
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def relative(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    off = torch.stack([(a[n] - b[n]).norm() for n in a]).norm()
    return float(off / torch.stack([t.norm() for t in b.values()]).norm())


# The fused LoRA layer.


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_fused_layer_has_the_right_gradients(dropout):
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*s, dtype=torch.double) for s in ((2, 3, 5), (7, 5), (7,)))
    a, b = (torch.randn(*s, dtype=torch.double) for s in ((2, 5), (7, 2)))

    def layer(x, a, b):
        torch.manual_seed(1)
        return _LoRALinear.apply(x, weight, bias, a, b, 1.5, dropout)

    assert torch.autograd.gradcheck(layer, [t.requires_grad_() for t in (x, a, b)])
    if not dropout:
        expected = x @ weight.T + bias + 1.5 * x @ a.T @ b.T
        torch.testing.assert_close(layer(x, a, b), expected)


def test_dropout_leaves_the_base_alone_and_keeps_the_mean():
    torch.manual_seed(0)
    x, weight, a, b = torch.ones(4000, 8), torch.randn(3, 8), torch.randn(2, 8), torch.randn(3, 2)
    dropped = _LoRALinear.apply(x, weight, None, a, b, 1.0, 0.5)
    exact = x @ weight.T + x @ a.T @ b.T
    assert (dropped - exact).abs().max() > 0.1
    torch.testing.assert_close(dropped.mean(0), exact.mean(0), atol=0.3, rtol=0)
    torch.testing.assert_close(_LoRALinear.apply(x, weight, None, a, 0 * b, 1.0, 0.5), x @ weight.T)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_fused_gradients_equal_the_padded_batch(kind):
    batch = examples(40, [9, 12, 7])
    plain = tiny(kind)
    fused = copy.deepcopy(plain)
    assert fuse_lora(fused) == 3 * 7
    expected = padded_gradients(plain, batch)
    assert distance(shared_gradients(fused, group_by_prefix(batch), 2), expected) <= 1e-5


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_fused_bfloat16_is_as_close_to_float32_as_the_padded_batch_is(kind):
    batch = examples(40, [9, 30, 12, 8])
    exact = padded_gradients(tiny(kind), batch)
    padded_off = distance(padded_gradients(tiny(kind, torch.bfloat16), batch), exact)
    fused = tiny(kind, torch.bfloat16)
    fuse_lora(fused)
    off = distance(shared_gradients(fused, group_by_prefix(batch), 2), exact)
    assert off <= max(1e-2, 1.5 * padded_off), (off, padded_off)


# The memory model.


def kept_bytes(peft_model, group, micro: int, *, activated: bool) -> int:
    """Bytes that PyTorch keeps for the backward pass, weights apart."""
    weights = {p.untyped_storage().data_ptr() for p in peft_model.parameters()}
    kept: dict[int, int] = {}
    model = peft_model.get_base_model()
    use_shared_prefix(model)
    read = BasePrefixes().of(model, group.prefix) if activated else None

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(storage)  # or its address would be given out again
        return tensor

    alive: list[object] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run_group(model, group, micro, 100, read=read)
    return sum(kept.values())


@pytest.mark.parametrize("prefix", [200, 400])
@pytest.mark.parametrize("activated", [False, True], ids=["always", "activated"])
@pytest.mark.parametrize("packed", [False, True], ids=["rows", "packed"])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_the_memory_model_says_what_pytorch_keeps(monkeypatch, kind, packed, activated, prefix):
    monkeypatch.setattr(_shared_prefix, "is_packed", lambda _: packed)
    (group,) = group_by_prefix(examples(prefix, [48, 48, 48, 48]))  # a packed row is filled up to 64
    peft_model = tiny(kind)
    fuse_lora(peft_model)
    peft_model.train()
    shape = Shape.of(peft_model.config, 4, 4)
    told = step_bytes(shape, prefix, 48, 4, packed=packed, activated=activated)
    told -= step_bytes(shape, 0, 0, 0, packed=packed)
    if not packed:  # the prefix's keys and values, or their gradients: there, but not kept by autograd
        told -= prefix * shape.key_value_per_token
    assert 0.85 < kept_bytes(peft_model, group, 4, activated=activated) / told < 1.15


def test_less_memory_means_smaller_groups_then_checkpointing():
    shape = Shape(30, 576, 1536, 576, 192, 49152, 16, 4)
    sizes = [fitting(shape, 600, 110, 8, int(gib * 2**30), packed=False) for gib in (24, 2.2, 1.7, 0.8)]
    assert sizes[0] == (8, False) and 1 <= sizes[1][0] < 8 and not sizes[1][1]
    assert sizes[-1][1] and [s[0] for s in sizes if not s[1]] == sorted(
        (s[0] for s in sizes if not s[1]), reverse=True
    )
    assert fitting(shape, 600, 110, 8, 2**30, packed=False, checkpointing=False) == (1, False)
    needs = [step_bytes(shape, 600, 110, 8, packed=False, checkpointing=again) for again in (True, False)]
    assert needs[0] < needs[1] / 2


@pytest.mark.parametrize(("wanted", "chosen"), [(None, True), (False, False), (True, True)])
def test_checkpointing_is_chosen_only_where_the_setting_is_open(monkeypatch, wanted, chosen):
    monkeypatch.setattr(
        "auto_lora.finetune.free_bytes", lambda device: 2**20
    )  # a machine that is nearly full
    data = Data(16, 40, 1)
    trainer = LoRATrainer(TrainingConfig(gradient_checkpointing=wanted), tiny_base())
    trainer._fit_into_memory(data.groups)
    assert (trainer.micro, trainer.checkpointing) == (1, chosen)


def test_the_machine_has_memory():
    import psutil

    assert 0 < free_bytes("cpu") <= psutil.virtual_memory().total


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_out_of_memory_halves_the_group_and_goes_on(tmp_path):
    """A real limit on the address space, which the first steps exceed."""
    code = (
        "import resource, psutil, tests.train_tiny as t; t.tiny_base();"
        "import auto_lora._shared_prefix as p, auto_lora.finetune as f;"
        "p.is_packed = f.is_packed = lambda _: False;"  # padded rows: a packed one holds too little to fail
        "room = psutil.Process().memory_info().vms + 420 * 2**20;"
        "resource.setrlimit(resource.RLIMIT_AS, (room, room));"
        f't.main({str(tmp_path)!r}, \'{{"batch_size": 16, "count": 32, "longest": 900, "num_epochs": 1}}\')'
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "out of memory: going on with micro-groups of 8" in done.stdout
    result = json.loads((tmp_path / "training.json").read_text())
    assert result["micro_group"] < 16 and (tmp_path / "adapter_model.safetensors").is_file()


def test_out_of_memory_with_one_example_is_one_sentence(tmp_path, monkeypatch):
    import auto_lora.finetune as finetune

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(finetune, "run_group", full)
    trainer = LoRATrainer(TrainingConfig(batch_size=4), tiny_base())
    with pytest.raises(TrainingError, match="out of memory") as raised:
        trainer.train(Data(4, 10, 1), Data(2, 10, 2), tmp_path)
    assert "--gradient-checkpointing" in raised.value.hint and trainer.micro == 1


# Checkpoints.


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    base = tiny_base()
    config = TrainingConfig(batch_size=2, num_epochs=1, checkpoint_seconds=0.0)
    kept = {}
    original = Path.unlink

    def keep(path, *args, **kwargs):
        if path.name == CHECKPOINT:
            kept[path] = path.read_bytes()
        return original(path, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", keep)
        LoRATrainer(config, base).train(Data(6, 10, 1), Data(2, 10, 2), tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(kept[tmp_path / CHECKPOINT])
    with pytest.raises(TrainingError, match="another run"):
        LoRATrainer(config, base).train(Data(8, 10, 1), Data(2, 10, 2), tmp_path, resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"cut")
    with pytest.raises(TrainingError, match="cannot be read"):
        LoRATrainer(config, base).train(Data(6, 10, 1), Data(2, 10, 2), tmp_path, resume=True)


class _Stopped(Exception):
    """Raised instead of the next step."""


def stopped(trainer, out, data, after: int) -> None:
    """A training that ends after some steps, as a kill would end it."""
    took = trainer._step

    def step(*args):
        nonlocal after
        after -= 1
        if after < 0:
            raise _Stopped
        return took(*args)

    trainer._step = step
    with pytest.raises(_Stopped):
        trainer.train(data, Data(3, 20, 2, activated=bool(data.invocation)), out)


def test_random_states_are_put_back_in_their_order(tmp_path, monkeypatch):
    """The processor's, then those of eleven GPUs: names end in 10 before 2."""
    states, back = [torch.tensor([n]) for n in range(12)], []
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight])
    save_checkpoint(tmp_path / CHECKPOINT, {"w": weight}, optimizer, [states], {})
    monkeypatch.setattr("auto_lora._checkpoint.restore_random_state", back.extend)
    load_checkpoint(tmp_path / CHECKPOINT, {"w": weight}, optimizer, 0)
    assert [int(s) for s in back] == list(range(12))


@pytest.mark.parametrize("activated", [False, True])
def test_gone_on_after_a_stop_the_adapter_is_the_same(activated, tmp_path):
    """With dropout, and with those settings changed that a resumed run may change."""
    config = TrainingConfig(batch_size=4, num_epochs=1, checkpoint_seconds=0.0, activated=activated)
    data, held = Data(20, 30, 1, activated=activated), Data(3, 20, 2, activated=activated)
    for after in (0, 3):
        out = tmp_path / str(after)
        if after:
            stopped(LoRATrainer(config, tiny_base()), out, data, after)
            config = replace(config, port=9999, parallel_requests=7, num_iterations=9)
        LoRATrainer(config, tiny_base()).train(data, held, out, resume=True)
    one, two = ((tmp_path / n / "adapter_model.safetensors").read_bytes() for n in "03")
    assert one == two


def test_a_micro_group_is_kept_where_memory_came_back(tmp_path, monkeypatch):
    config = TrainingConfig(batch_size=4, num_epochs=1, checkpoint_seconds=0.0)
    data = Data(12, 30, 1)
    monkeypatch.setattr("auto_lora.finetune.free_bytes", lambda device: 2**20)
    stopped(LoRATrainer(config, tiny_base()), tmp_path, data, 2)
    monkeypatch.undo()
    result = LoRATrainer(config, tiny_base()).train(data, Data(3, 20, 2), tmp_path, resume=True)
    assert (result.micro_group, result.gradient_checkpointing) == (1, True)


def test_half_precision_loses_no_small_gradients():
    """A step of many targets: each one's share is far below what fp16 can hold beside the others."""
    steps, taken = [Data(256, 40, 1).groups], {}
    for dtype in (torch.float32, torch.float16):
        base = tiny_base()
        base.model.to(dtype)
        trainer = LoRATrainer(TrainingConfig(batch_size=16, lora_dropout=0.0), base)
        trainer._fit_into_memory(steps[0])
        peft_model = trainer._attach()
        named = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
        keeps = torch.optim.SGD(named.values(), lr=0.0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: 0.0)
            patch.setattr(keeps, "zero_grad", lambda **_: None)
            trainer._step(peft_model, steps[0], named, keeps)
        taken[dtype] = {n: p.grad.clone() for n, p in named.items() if "lora_B" in n}
        peft_model.unload()
    assert distance(taken[torch.float16], taken[torch.float32]) < 0.01


def test_what_is_not_finite_is_not_kept(tmp_path, monkeypatch):
    trainer = LoRATrainer(TrainingConfig(batch_size=2, num_epochs=1), tiny_base())
    monkeypatch.setattr(trainer, "validate", lambda *_: StepSums(math.nan, 5, 0, 2))
    with pytest.raises(TrainingError, match="validation loss is not finite"):
        trainer.train(Data(4, 10, 1), Data(2, 10, 2), tmp_path)
    assert not (tmp_path / "adapter_model.safetensors").exists()


@pytest.mark.slow
def test_killed_at_random_points_the_adapter_is_the_same_bit_for_bit(tmp_path):
    """KILLS=10 makes it ten kills."""
    options = {"count": 60, "num_epochs": 3, "lora_dropout": 0.1, "longest": 60}
    started = time.monotonic()
    train_tiny(tmp_path / "whole", **options)
    whole = time.monotonic() - started
    out = tmp_path / "killed"
    argv = [sys.executable, "-m", "tests.train_tiny", str(out), json.dumps(options)]
    rng, kills, went_on = random.Random(7), 0, 0
    while kills < int(os.environ.get("KILLS", "3")):
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        steps = len(list(out.glob(CHECKPOINT)))
        time.sleep(rng.uniform(0.6, 1.0) * whole * 0.85)
        process.send_signal(signal.SIGKILL)
        text = process.communicate()[0].decode()
        went_on += "going on after" in text
        kills += 1
        if (out / "training.json").exists():
            break
        assert steps or (out / CHECKPOINT).exists() or kills < 3
    train_tiny(out, **options)
    assert (out / "adapter_model.safetensors").read_bytes() == (
        tmp_path / "whole" / "adapter_model.safetensors"
    ).read_bytes()
    one, two = (json.loads((p / "training.json").read_text())["history"] for p in (out, tmp_path / "whole"))
    assert [{k: v for k, v in r.items() if k != "seconds"} for r in one] == [
        {k: v for k, v in r.items() if k != "seconds"} for r in two
    ]
    assert not (out / CHECKPOINT).exists()


# Several processes.


def test_the_others_hear_every_setting_that_the_first_decides(demo_tools):
    """A checkpoint is known by all settings: one that differs, and only the first process would go on from it."""
    asked = TrainingConfig()
    decided = replace(
        asked.for_tools(demo_tools), mixed_precision="bf16", init_adapter="before", learning_rate=1e-3
    )
    heard = {name: getattr(decided, name) for name in training_jobs.OF_A_ROUND}
    assert decided != asked and replace(asked, **heard) == decided


@pytest.mark.slow
def test_a_failure_of_the_first_process_ends_the_others():
    argv = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "tests.fail_first",
    ]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1 and "the disk is full" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("activated", [False, True], ids=["always", "activated"])
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp"])
def test_two_processes_give_the_gradients_of_one(tmp_path, sharded, activated):
    options = {"gradient_accumulation_steps": 4, "shard_base": sharded, "activated": activated}
    train_tiny(tmp_path / "one", "--gradients", **options)
    train_tiny(tmp_path / "two", "--gradients", processes=2, **options)
    one, two = (load_file(tmp_path / n / "gradients.safetensors") for n in ("one", "two"))
    assert relative(two, one) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sharded", "activated"), [(False, False), (True, True)], ids=["ddp-always", "fsdp-activated"]
)
def test_two_processes_give_the_adapter_of_one(tmp_path, sharded, activated):
    options = {"gradient_accumulation_steps": 3, "shard_base": sharded, "activated": activated}
    train_tiny(tmp_path / "one", **options)
    done = train_tiny(tmp_path / "two", processes=2, **options)
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("one", "two"))
    assert relative(two, one) <= 1e-3
    history = [json.loads((tmp_path / n / "training.json").read_text())["history"] for n in ("one", "two")]
    for a, b in zip(*history, strict=True):
        assert abs(a["validation_loss"] - b["validation_loss"]) < 1e-4
        assert abs(a["train_loss"] - b["train_loss"]) < 1e-4
    assert done.stdout.count("out of memory") == 0


# Plans.


def test_every_example_is_taken_once_an_epoch_and_epochs_differ():
    data, config = Data(26, 12, 1), TrainingConfig(batch_size=2, gradient_accumulation_steps=3)
    orders = []
    for epoch in (1, 2):
        steps = plan_steps(data.groups, config, epoch)
        assert all(sum(len(g.examples) for g in step) <= 6 for step in steps)
        order = [e.conversation_id for step in steps for g in step for e in g.examples]
        assert sorted(order) == sorted(e.conversation_id for e in data.examples)
        orders.append(order)
    assert orders[0] != orders[1]
    assert plan_steps(data.groups, config, 1) == plan_steps(data.groups, config, 1)


def test_modules_the_model_has_not_are_one_sentence():
    trainer = LoRATrainer(TrainingConfig(target_modules=["qkv_proj"]), tiny_base())
    with pytest.raises(ModelError, match="no adapter fits this qwen3 model"):
        trainer._attach()
