"""The server process and its client, against a real llama.cpp."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from auto_lora._errors import MissingPartError, ServerError
from auto_lora._server_process import find_server
from auto_lora.encode import hermes_template
from auto_lora.llama_server import LlamaCppClient

pytestmark = pytest.mark.slow


def servers_of(process: psutil.Process) -> list[psutil.Process]:
    return [p for p in process.children(recursive=True) if "_server_child" in " ".join(p.cmdline())]


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.jinja"
    path.write_text(hermes_template(), encoding="utf-8")
    return path


async def test_chat_with_tools_and_gone_afterwards(smollm, template, demo_tools, tmp_path):
    tools = [t.to_openai() for t in demo_tools[:2]]
    async with LlamaCppClient(
        smollm, chat_template_file=template, context=2048, parallel=2, log_path=tmp_path / "log"
    ) as client:
        assert await client.health() and (await client.props())["total_slots"] == 2
        messages = [{"role": "user", "content": "hello"}]
        first, second = await asyncio.gather(*(client.chat(messages, tools, max_tokens=8) for _ in range(2)))
        assert first.completion_tokens == second.completion_tokens <= 8 and first.prompt_tokens > 200
        assert (await client.complete("One two three", n_predict=3))["content"]
        running = servers_of(psutil.Process())
        assert running
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in running)
    assert (tmp_path / "log").stat().st_size > 0


async def test_a_cached_prefix_changes_no_bit_on_one_slot(smollm, demo_tools):
    async with LlamaCppClient(smollm, context=2048) as client:
        tools = await client.tokenize(str([t.to_openai() for t in demo_tools]))
        asked = [
            tools + await client.tokenize(words, add_special=False)
            for words in ("turn on the kitchen light", "what is the weather in Paris tomorrow, please")
        ]
        alone = [await client.next_token_logprobs(tokens) for tokens in asked]
        after_another = [await client.next_token_logprobs(tokens, cache_prompt=True) for tokens in asked]
    assert len(tools) > 400 and after_another == alone


async def test_a_running_server_is_used_and_left_running(smollm):
    async with LlamaCppClient(smollm, context=256) as owner:
        async with LlamaCppClient(url=f"{owner.url}/v1") as guest:
            assert await guest.tokenize("hello") == await owner.tokenize("hello")
        assert await owner.health()


async def test_no_server_at_the_url():
    with pytest.raises(ServerError, match="no llama.cpp server answers at http://127.0.0.1:9"):
        await LlamaCppClient(url="http://127.0.0.1:9").start()


async def test_a_port_in_use(smollm):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port} cannot be used"):
            await LlamaCppClient(smollm, port=port).start()


async def test_a_server_that_dies_is_quoted(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ServerError, match="ended with exit code") as caught:
        await LlamaCppClient(broken, log_path=tmp_path / "log").start()
    assert "log" in caught.value.hint and not servers_of(psutil.Process())


async def test_a_server_killed_while_in_use(smollm, tmp_path):
    async with LlamaCppClient(smollm, context=256, log_path=tmp_path / "log") as client:
        for process in servers_of(psutil.Process()):
            process.kill()
        with pytest.raises(ServerError):
            await client.complete("x", n_predict=1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_its_parent(how, smollm):
    code = (
        "import asyncio, sys; from auto_lora.llama_server import LlamaCppClient\n"
        "async def main():\n"
        "    async with LlamaCppClient(sys.argv[1], context=256) as c:\n"
        "        print(c.url, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(smollm)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout and parent.stdout.readline().startswith("http://127.0.0.1:")
    running = servers_of(psutil.Process(parent.pid))
    assert running
    parent.send_signal(how)
    parent.wait(30)
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while any(p.is_running() for p in running):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.1)


def test_where_a_server_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server().kind == "embedded"
    build = tmp_path / "checkout" / "build" / "bin"
    build.mkdir(parents=True)
    server = build / "llama-server"
    server.write_text("#!/bin/sh\nexit 3\n")
    server.chmod(0o755)
    assert find_server(tmp_path / "checkout").path == server
    monkeypatch.setattr("auto_lora._server_process.find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match="LLAMA_CPP_PATH .* holds no llama-server"):
        find_server(tmp_path / "elsewhere")


async def test_a_native_server_that_cannot_run_is_quoted(tmp_path, smollm):
    """A binary that is there but dies (built for another processor, say) is refused with its words."""
    server = tmp_path / "llama-server"
    server.write_text("#!/bin/sh\necho illegal instruction >&2\nexit 3\n")
    server.chmod(0o755)
    with pytest.raises(ServerError, match="illegal instruction"):
        await LlamaCppClient(smollm, llama_cpp_path=tmp_path, log_path=tmp_path / "log").start()


@pytest.mark.parametrize(
    ("help_text", "said"),
    [("--lora-scaled FNAME:SCALE,...", "{adapter}:0.5"), ("--lora-scaled FNAME SCALE", "{adapter} 0.5")],
)
async def test_the_scale_is_said_as_the_build_wants_it(help_text, said, tmp_path, smollm):
    server = tmp_path / "llama-server"
    server.write_text(f'#!/bin/sh\ntest "$1" = --help && echo "{help_text}" && exit\necho "$@" >&2\nexit 3\n')
    server.chmod(0o755)
    adapter = tmp_path / "adapter.gguf"
    adapter.touch()
    with pytest.raises(ServerError, match=re.escape(f"--lora-scaled {said.format(adapter=adapter)}")):
        await LlamaCppClient(
            smollm,
            adapter_path=adapter,
            adapter_scale=0.5,
            llama_cpp_path=tmp_path,
            log_path=tmp_path / "log",
        ).start()


async def test_without_a_log_path_the_last_words_are_quoted_too(tmp_path, smollm, monkeypatch):
    server = tmp_path / "llama-server"
    server.write_text("#!/bin/sh\necho illegal instruction >&2\nexit 3\n")
    server.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with pytest.raises(ServerError, match="illegal instruction"):
        await LlamaCppClient(smollm, llama_cpp_path=tmp_path).start()
    assert not list((tmp_path / "tmp").iterdir())


async def test_a_binary_for_another_system(tmp_path, smollm):
    server = tmp_path / "llama-server"
    server.write_bytes(b"\x7fELF of another processor")
    server.chmod(0o755)
    with pytest.raises(ServerError, match="llama-server cannot be run: Exec format error") as caught:
        await LlamaCppClient(smollm, llama_cpp_path=tmp_path).start()
    assert "embedded" in caught.value.hint


@pytest.mark.skipif(
    not os.environ.get("NATIVE_LLAMA_CPP"), reason="NATIVE_LLAMA_CPP names no llama.cpp build"
)
async def test_native_and_embedded_agree(smollm, template, demo_tools, tmp_path):
    tools = [t.to_openai() for t in demo_tools]
    seen = []
    for path in (os.environ["NATIVE_LLAMA_CPP"], None):
        log = Path(tmp_path / f"log{len(seen)}")
        async with LlamaCppClient(
            smollm, chat_template_file=template, log_path=log, llama_cpp_path=path
        ) as client:
            text = await client.render([{"role": "user", "content": "hi"}], tools)
            seen.append((text, await client.tokenize(text)))
    assert seen[0] == seen[1]
