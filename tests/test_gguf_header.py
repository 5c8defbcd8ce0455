"""GGUF headers: what they say equals the gguf library's reading; damage is one clear sentence."""

from __future__ import annotations

import struct

import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_lora._errors import ModelError
from auto_lora._gguf import check_supported, read_header


def test_real_header_equals_the_librarys_reading(smollm):
    header, reader = read_header(smollm), GGUFReader(smollm)
    fields = {k: reader.get_field(f"llama.{k}").contents() for k in ("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size")}  # fmt: skip
    assert header.architecture == "llama" and header.quantisation == "Q4_1" and not header.knows_tools
    assert fields == {
        "block_count": header.n_layers,
        "context_length": header.context_length,
        "embedding_length": header.hidden_size,
        "feed_forward_length": header.feed_forward,
        "vocab_size": header.vocab_size,
    }
    assert header.n_parameters == sum(int(t.n_elements) for t in reader.tensors)
    assert header.chat_template == reader.get_field("tokenizer.chat_template").contents()
    check_supported(header)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A few kilobytes with every value type that a header may hold."""
    import numpy as np

    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = GGUFWriter(path, "qwen3")
    writer.add_name("small Zoë")
    writer.add_block_count(1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "ü"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5, 2.5])
    writer.add_bool("some.bool", True)
    writer.add_float64("some.double", 1.0)
    writer.add_int64("some.long", -1)
    writer.add_chat_template("{% if tools %}x{% endif %}")
    writer.add_tensor("a.weight", np.zeros((4, 32), dtype=np.float32))
    writer.add_tensor("b.weight", np.zeros((3, 5), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_every_value_type_is_passed_over(small):
    header = read_header(small)
    assert (header.name, header.vocab_size, header.n_parameters) == ("small Zoë", 3, 143)
    assert header.knows_tools and header.quantisation == "unknown"


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_cut_file_is_refused_in_one_sentence(small, data):
    raw = small.read_bytes()
    kept = 4 * 32 * 4 + 3 * 5 * 2  # the writer pads the last tensor: cutting padding loses nothing
    start = len(raw) - -(-kept // 32) * 32
    cut = small.with_name("cut.gguf")
    length = data.draw(st.integers(4, start + kept - 1))
    cut.write_bytes(raw[:length])
    with pytest.raises(ModelError, match="truncated"):
        read_header(cut)


@settings(deadline=None, max_examples=150)
@given(position=st.integers(4, 300), value=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(small, position, value):
    """Any byte may be wrong: an answer or a ModelError, never another exception."""
    raw = bytearray(small.read_bytes())
    raw[position] = value
    damaged = small.with_name("damaged.gguf")
    damaged.write_bytes(raw)
    try:
        read_header(damaged)
    except ModelError as error:
        assert error.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a GGUF file"),
        (b"PK\x03\x04 a zip", "is not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 99, 0, 0), "version 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "holds no language model"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), "truncated or damaged"),
    ],
)
def test_not_a_model(content, says, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=says):
        read_header(path)


def test_missing_a_folder_and_an_unsupported_architecture(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        read_header(tmp_path / "absent.gguf")
    with pytest.raises(ModelError, match="is a folder"):
        read_header(tmp_path)
    writer = GGUFWriter(tmp_path / "mamba.gguf", "mamba")
    writer.add_block_count(1)
    import numpy as np

    writer.add_tensor("a.weight", np.zeros(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match="mamba") as caught:
        check_supported(read_header(tmp_path / "mamba.gguf"))
    assert "qwen3" in caught.value.hint
