"""Every program in `examples/` runs and does what it says."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gguf import GGUFReader

from auto_lora import AutoLoRACreator, Extensions, LlamaCppClient, SyntheticDataGenerator, TrainingConfig
from auto_lora._conversation import write_conversations
from tests.tiny_models import SHAPE

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed_and_tested():
    names = {p.name for p in EXAMPLES.glob("*.py")}
    assert all(f"`{n}`" in (EXAMPLES / "README.md").read_text() for n in names)
    assert all(f'load("{Path(n).stem}")' in Path(__file__).read_text() for n in names)


def test_domain_values_and_a_writer():
    example = load("domain_values")
    prompts = example.main()
    assert len(set(prompts)) == 5
    assert all(p.startswith("request weather at ") and p[-4:] in example.AIRPORTS for p in prompts)


def test_domain_values_are_divided_between_the_splits():
    example = load("domain_values")
    generator = SyntheticDataGenerator(
        [example.METAR],
        TrainingConfig(category_shares={"single": 1.0}),
        samplers={"station": example.station},
    )
    train, test = (
        {c.messages[1]["tool_calls"][0]["function"]["arguments"] for c in generator.generate(n, split)}
        for n, split in ((30, "train"), (6, "test"))
    )
    assert train and test and not train & test


@pytest.mark.parametrize("count", [4, 12, 300])
@pytest.mark.parametrize("alone", [True, False])
def test_every_split_has_some_of_a_users_values_however_few(count, alone):
    metar = load("domain_values").METAR
    unit = {"unit": {"type": "string", "enum": ["metric", "imperial"]}}
    properties = {**metar.properties, **({} if alone else unit)}
    tool = replace(metar, parameters={**metar.parameters, "properties": properties})
    codes = [f"{a}{b}{c}D" for a in "EKLR" for b in "ABCDEFGHI" for c in "ABCDEFGHI"][:count]
    generator = SyntheticDataGenerator(
        [tool],
        TrainingConfig(category_shares={"single": 1.0}),
        samplers={"station": lambda rng: (code := rng.choice(codes), code)},
    )
    splits = ("train", "test") if count == 4 else ("train", "validation", "test")
    found = [
        {next(c.turns()).expected[0].arguments["station"] for c in generator.generate(2, split)}
        for split in splits
    ]
    assert all(found) and len(set.union(*found)) == sum(map(len, found))


@pytest.mark.slow
async def test_a_custom_metric_is_counted(smollm, demo_tools, tmp_path):
    example = load("custom_metric")
    generator = SyntheticDataGenerator(demo_tools[:1], TrainingConfig())
    tests = write_conversations(tmp_path / "test.jsonl", generator.generate(3, "test"))
    counted = await example.score(str(smollm), str(tests))
    assert counted["of"] == 3 and counted["low"] <= counted["share"] <= counted["high"]


def test_extensions_reach_the_evaluator(demo_tools):
    creator = AutoLoRACreator(
        TrainingConfig(), demo_tools, extensions=Extensions(metrics={"x": lambda c: True})
    )
    assert list(creator.extensions.metrics) == ["x"]


@pytest.mark.slow
async def test_a_running_server(smollm):
    example = load("own_server")
    async with LlamaCppClient(smollm, context=1024) as server:
        calls = await example.ask(server.url, "turn the kitchen lights on")
        async with LlamaCppClient(url=server.url) as still:  # asking does not stop it
            assert await still.tokenize("a")
    assert isinstance(calls, tuple)


@pytest.mark.slow
def test_other_modules_and_architectures(smollm, tmp_path, monkeypatch, llama_cpp_scripts):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm.parent, gguf_file=smollm.name)
    torch.manual_seed(0)
    config = AutoConfig.for_model("phi3", vocab_size=len(tokenizer), pad_token_id=0, **SHAPE)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "phi3")
    tokenizer.save_pretrained(tmp_path / "phi3")
    monkeypatch.setenv("LLAMA_CPP_PATH", str(llama_cpp_scripts))
    adapter = load("other_modules").main(str(tmp_path / "phi3"), str(tmp_path / "out"), examples=6)
    made = GGUFReader(adapter)
    assert made.fields["general.architecture"].contents() == "phi3"
    assert {t.name.split(".")[2] for t in made.tensors} == {"attn_qkv", "attn_output"}
