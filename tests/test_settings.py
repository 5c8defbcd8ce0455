"""One list of settings: ranges, YAML, flags."""

from __future__ import annotations

import dataclasses

import pytest

from auto_lora import ToolDefinition
from auto_lora.__main__ import build_parser, config_of
from auto_lora._errors import ConfigError
from auto_lora._settings import TrainingConfig, flags, parse_text


def test_the_issue_example_is_valid():
    config = TrainingConfig(
        model_name="Qwen/Qwen3-4B-Instruct-2507", num_synthetic_examples=200, num_epochs=3
    )
    assert (config.lora_r, config.lora_alpha, config.lora_dropout) == (16, 32, 0.1)


@pytest.mark.parametrize("field", [f for f in flags() if f.metadata["low"] is not None], ids=lambda f: f.name)
def test_every_range_is_kept_and_named(field):
    for outside in (field.metadata["low"] - 1, field.metadata["high"] + 1):
        value = outside if field.metadata["kind"] is float else int(outside)
        with pytest.raises(ConfigError, match=field.name) as caught:
            TrainingConfig(**{field.name: value})
        assert f"{field.metadata['low']:g} to {field.metadata['high']:g}" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lora_r": True}, "lora_r is True"),
        ({"writer": "magic"}, "writer is 'magic'"),
        ({"target_modules": []}, "target_modules is empty"),
        ({"target_modules": ["lm_head"]}, "lm_head"),
        ({"target_modules": ["gate"]}, "'gate'"),
        ({"category_shares": {"single": 0.5}}, "sum to 0.5"),
        ({"category_shares": {"solo": 1.0}}, "'solo'"),
        ({"category_shares": {"single": float("nan")}}, "single.* is nan"),
        ({"target_modules": [["q_proj"]]}, "target_modules names"),
        ({"judge_url": "localhost:8080"}, "judge_url is 'localhost:8080'"),
        ({"judge_url": "http://localhost:8O80/v1"}, "judge_url is 'http://localhost:8O80/v1'"),
        ({"judge_url": "http://localhost:70000"}, "judge_url is 'http://localhost:70000'"),
        ({"writer_url": "http://"}, "writer_url is 'http://'"),
        ({"writer_url": "http://["}, "writer_url is 'http://"),
        ({"writer_url": "base"}, "writer_url is 'base'"),
        ({"test_file": ""}, "test_file is empty"),
        ({"output_dir": ""}, "output_dir is empty"),
        ({3: 4}, "unknown setting 3"),
        ({"use_dora": True}, "use_dora is refused"),
        ({"lora_rank": 8}, "unknown setting 'lora_rank'"),
    ],
)
def test_wrong_settings_are_named(values, said):
    with pytest.raises(ConfigError, match=said) as caught:
        TrainingConfig.from_dict(values)
    assert caught.value.hint


def test_tools_of_many_parameters_ask_for_more_conversations():
    def tools(*counts):
        return [
            ToolDefinition(f"t{i}", "Does it.", {f"p{j}": {"type": "string"} for j in range(n)})
            for i, n in enumerate(counts)
        ]

    for counts, examples in (((0, 9), 2400), ((1, 9), 4800), ((7,), 4800), ((4,), 2400), ((), 2400)):
        config = TrainingConfig(lora_r=8).for_tools(tools(*counts))
        assert (config.num_synthetic_examples, config.lora_r) == (examples, 8)
    assert TrainingConfig(num_synthetic_examples=77).for_tools(tools(9)).num_synthetic_examples == 77


def test_flags_win_over_yaml_and_yaml_over_defaults(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("lora_r: 8\nnum_epochs: 5\ncategory_shares: {single: 0.5, no_call: 0.5}\n")
    args = build_parser().parse_args(
        ["--train", "--config", str(file), "--num-epochs", "2", "--target-modules", "q_proj,v_proj"]
    )
    config = config_of(args)
    assert (config.lora_r, config.num_epochs, config.target_modules) == (8, 2, ["q_proj", "v_proj"])
    assert config.category_shares == {"single": 0.5, "no_call": 0.5}


def test_yaml_reads_numbers_and_names_as_the_flags_do(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("learning_rate: 1e-4\n", encoding="utf-8-sig")
    assert TrainingConfig.from_yaml(file).learning_rate == 1e-4
    with pytest.raises(ConfigError) as caught:
        TrainingConfig.from_dict({"examples": 4})
    assert caught.value.hint == "did you mean num_synthetic_examples?"


def test_every_default_survives_its_flag():
    config = TrainingConfig()
    for field in flags():
        value = getattr(config, field.name)
        if field.metadata["kind"] is bool or value in (None, ""):
            continue
        text = (
            ",".join(f"{k}={v}" for k, v in value.items())
            if isinstance(value, dict)
            else ",".join(value)
            if isinstance(value, list)
            else str(value)
        )
        assert parse_text(field, text) == value, field.name


@pytest.mark.parametrize("content", ["lora_r: [", "- a\n- b\n", "lora_q: 3\n"])
def test_bad_yaml_is_one_sentence(tmp_path, content):
    file = tmp_path / "c.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        TrainingConfig.from_yaml(file)


def test_every_field_has_help():
    assert all(f.metadata["help"] for f in dataclasses.fields(TrainingConfig))
