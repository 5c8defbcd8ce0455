"""The client against a server that answers as told: replies, retries and refusals, without a model."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from auto_lora._errors import ServerError
from auto_lora._toolcall import ToolCall
from auto_lora.llama_server import LlamaCppClient

MESSAGES = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@pytest.fixture
def fake():
    """A server; `fake.answers` are (status, body) for the coming POSTs, `fake.seen` their bodies."""

    class Handler(BaseHTTPRequestHandler):
        def reply(self, status, body):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            self.reply(200, {"status": "ok"})

        def do_POST(self):
            server.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.reply(*server.answers.pop(0))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.seen = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reply(content="", calls=(), finish="stop"):
    entries = [{"function": {"name": n, "arguments": a}} for n, a in calls]
    return 200, {
        "choices": [{"message": {"content": content, "tool_calls": entries}, "finish_reason": finish}]
    }


_OTHER = "The model produced output that does not match the expected"


@pytest.mark.parametrize(
    ("answer", "calls", "text", "error"),
    [
        (reply("hi"), (), "hi", ""),
        (reply(None, [("f", '{"a": 1}')]), (ToolCall("f", {"a": 1}),), "", ""),
        (reply("", [("f", "{}"), ("g", '{"b": "ü"}')]), (ToolCall("f"), ToolCall("g", {"b": "ü"})), "", ""),
        (reply("", [("f", "{oops")]), (), "", "invalid_json"),
        (reply("", [("f", '{"a": ')], "length"), (), "", "truncated"),
        # The server saw no call, the raw text holds one.
        (reply('so <tool_call>{"name": "f", "arguments": {}}</tool_call>'), (ToolCall("f"),), "so", ""),
        (reply("<tool_call>{no</tool_call>"), (), "", "invalid_json"),
        (reply('<tool_call>{"name"', finish="length"), (), "", "truncated"),
        ((500, {"error": {"message": "Failed to parse input at pos 3: {oops"}}), (), "", "invalid_json"),
        ((500, {"error": {"message": f"{_OTHER} peg-native format"}}), (), "", "invalid_json"),
        (reply("", [("f", '{"a": "\\ud83d"}')]), (), "", "invalid_json"),
        (reply("half \ud83d"), (), "half ?", ""),
    ],
)
async def test_replies(answer, calls, text, error, fake):
    fake.answers.append(answer)
    async with LlamaCppClient(url=fake.url) as client:
        got = await client.chat(MESSAGES, TOOLS)
    assert (got.calls, got.text, got.error) == (calls, text, error)


async def test_what_is_sent(fake):
    fake.answers += [reply(), reply(), reply()]
    async with LlamaCppClient(url=fake.url) as client:
        await client.chat(MESSAGES)
        await client.chat(MESSAGES, TOOLS)
        await client.chat(MESSAGES, TOOLS, parallel_tool_calls=False, temperature=0.5)
    plain, with_tools, chosen = fake.seen
    assert plain == {"messages": MESSAGES, "temperature": 0, "cache_prompt": True}
    assert with_tools["parallel_tool_calls"] is True and with_tools["tools"] == TOOLS
    assert chosen["parallel_tool_calls"] is False and chosen["temperature"] == 0.5


async def test_a_loading_model_is_asked_again_and_a_refusal_is_not(fake):
    fake.answers += [(503, {"error": {"message": "Loading model"}}), reply("ready")]
    async with LlamaCppClient(url=fake.url) as client:
        assert (await client.chat(MESSAGES)).text == "ready"
        for status in (400, 500):
            for reason in ("a reason of its own", "Failed to parse grammar", "Failed to parse tools: none"):
                fake.seen.clear()
                fake.answers.append((status, {"error": {"message": reason}}))
                with pytest.raises(ServerError, match=reason):
                    await client.chat(MESSAGES)
                assert len(fake.seen) == 1


@pytest.mark.parametrize("body", [b"<html>not llama.cpp</html>", {"hello": 1}, {"choices": []}, []])
async def test_a_server_of_another_kind(body, fake):
    fake.answers.append((200, body))
    async with LlamaCppClient(url=fake.url) as client:
        with pytest.raises(ServerError) as caught:
            await client.chat(MESSAGES)
    assert "llama.cpp" in caught.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "nonsense", "ftp://127.0.0.1"])
async def test_a_url_that_is_none(url):
    with pytest.raises(ServerError, match="no llama.cpp server answers"):
        await LlamaCppClient(url=url).start()
