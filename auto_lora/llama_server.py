"""Stage 6: a llama.cpp server and the questions one asks it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from auto_lora._errors import ServerError
from auto_lora._model_url import root_of
from auto_lora._server_process import Served, ServerProcess
from auto_lora._toolcall import ToolCall, parse_arguments, parse_reply

_START_SECONDS = 600.0  # a 70 GB model from a slow disk


@dataclass(frozen=True)
class ChatReply:
    """One answer of a chat model.

    Attributes:
        calls: parsed by the server, else from the raw text.
        text: the words around them.
        raw: words and calls in wire form, or what could not be parsed.
        error: "" or "invalid_json", "truncated": the model's malformed call is data, no exception.
        finish_reason: as the server says: "stop", "tool_calls", "length".
    """

    calls: tuple[ToolCall, ...]
    text: str
    raw: str
    error: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class LlamaCppClient:
    """A llama.cpp server and the questions one asks it; an async context manager.

    Args:
        model_path: GGUF to serve; not needed with `url`.
        url: a running server to use instead of starting one.
        adapter_path: GGUF adapter to apply at `adapter_scale`.
        chat_template_file: Jinja template; default: the model's own.
        context: tokens per slot; parallel: slots.
        port: 0 for a free one; timeout: seconds for a request.
        log_path: where the server's output goes; default: a temporary file, gone with the server.
        llama_cpp_path: where to look for llama-server; default: LLAMA_CPP_PATH.
    """

    def __init__(
        self,
        model_path: str | Path | None = None,
        *,
        url: str | None = None,
        adapter_path: str | Path | None = None,
        adapter_scale: float = 1.0,
        chat_template_file: str | Path | None = None,
        context: int = 4096,
        parallel: int = 1,
        port: int = 0,
        timeout: float = 300.0,
        log_path: str | Path | None = None,
        llama_cpp_path: str | Path | None = None,
    ) -> None:
        self.model_path = model_path
        self.adapter_path, self.adapter_scale = adapter_path, adapter_scale
        self.chat_template_file = chat_template_file
        self.context, self.parallel = context, parallel
        self.port, self.timeout = port, timeout
        self.log_path = Path(log_path) if log_path else None
        self.llama_cpp_path = llama_cpp_path
        self.url = root_of(url) if url else ""
        self._process: ServerProcess | None = None
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> LlamaCppClient:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts the server, or connects to the running one, and waits for its health.

        Raises:
            ServerError: the port is taken, the server died (its last lines are quoted), or it
                does not answer.
            MissingPartError: there is no server to start.
        """
        self._http = httpx.AsyncClient(timeout=self.timeout, trust_env=False)
        try:
            if self.url:
                if not await self.health():
                    raise ServerError(
                        f"no llama.cpp server answers at {self.url}", "start it, or leave the URL out"
                    )
                return
            if self.model_path is None:
                raise ServerError(
                    "there is neither a model to serve nor a server's URL", "give model_path or url"
                )
            served = Served(
                self.model_path, self.adapter_path, self.adapter_scale, self.chat_template_file,
                self.context, self.parallel,
            )  # fmt: skip
            self._process = ServerProcess(served, self.port, self.log_path, self.llama_cpp_path)
            self.url = self._process.url
            await self._wait_until_healthy()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the server that was started here; a server given by URL goes on."""
        process, self._process = self._process, None
        if process is not None:
            process.let_go()  # before anything awaits: a cancelled stop still ends the server
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()
        if process is not None:
            await process.stop()

    async def wait(self) -> None:
        """Waits until the server ends by itself; raises ServerError when it does."""
        while True:
            self._raise_if_dead()
            await asyncio.sleep(0.5)

    # Questions.

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = (), **params: Any
    ) -> ChatReply:
        """One answer of `/v1/chat/completions`, greedy unless `params` say otherwise.

        Raises:
            ServerError: the server died or refused the request.
        """
        body: dict[str, Any] = {"messages": list(messages), "temperature": 0, "cache_prompt": True}
        if tools:
            body |= {"tools": list(tools), "parallel_tool_calls": True}
        body |= params
        started = time.monotonic()
        response = await self._post("/v1/chat/completions", body)
        seconds = time.monotonic() - started
        if response.status_code >= 500 and _NO_CALL.search(_message_of(response)):
            return ChatReply((), "", _message_of(response), "invalid_json", "error", seconds=seconds)
        value = self._value(response, "/v1/chat/completions")
        try:
            return _read_reply(value, seconds)
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ServerError(
                f"{self.url} does not answer as a chat server: {str(value)[:200]}", "is it llama.cpp's?"
            ) from None

    async def complete(self, prompt: str | Sequence[int], **params: Any) -> dict[str, Any]:
        """`/completion` on raw text or tokens: the server's answer with `content` and `timings`."""
        body = {
            "prompt": prompt if isinstance(prompt, str) else list(prompt),
            "temperature": 0,
            "cache_prompt": True,
            **params,
        }
        return self._value(await self._post("/completion", body), "/completion")

    async def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
        """The prompt text the server makes of a conversation (`/apply-template`)."""
        body: dict[str, Any] = {"messages": list(messages)} | ({"tools": list(tools)} if tools else {})
        return str(self._value(await self._post("/apply-template", body), "/apply-template")["prompt"])

    async def tokenize(self, text: str, *, add_special: bool = True) -> list[int]:
        """Tokens of a prompt as the chat endpoint makes them (`/tokenize`, special tokens parsed)."""
        body = {"content": text, "add_special": add_special, "parse_special": True}
        return list(self._value(await self._post("/tokenize", body), "/tokenize")["tokens"])

    async def next_token_logprobs(
        self, tokens: Sequence[int], n: int = 20, *, cache_prompt: bool = False
    ) -> dict[int, float]:
        """Natural log-probabilities of the `n` likeliest next tokens, before any sampling."""
        value = await self.complete(
            tokens, n_predict=1, n_probs=n, post_sampling_probs=False, cache_prompt=cache_prompt
        )
        top = value["completion_probabilities"][0]["top_logprobs"]
        return {int(entry["id"]): float(entry["logprob"]) for entry in top}

    async def set_adapter_scale(self, scale: float) -> None:
        """Applies the adapters at another scale from the next request on (`/lora-adapters`).

        Raises:
            ServerError: the server holds no adapter.
        """
        adapters: Any = self._value(await self._request("GET", "/lora-adapters"), "/lora-adapters")
        if not adapters:
            raise ServerError(f"{self.url} serves no adapter to scale", "start it with one")
        body = [{"id": adapter["id"], "scale": scale} for adapter in adapters]
        self._value(await self._post("/lora-adapters", body), "/lora-adapters")
        # A slot may keep a prompt's keys and values across adapters (llama.cpp issue 26207): empty them all.
        for slot in range((await self.props())["total_slots"]):
            await self.complete("x", n_predict=0, id_slot=slot, cache_prompt=False)
        self.adapter_scale = scale

    async def props(self) -> dict[str, Any]:
        """What the server says of itself (`/props`): model, template, build."""
        return self._value(await self._request("GET", "/props"), "/props")

    async def health(self) -> bool:
        """Whether the server answers and is ready."""
        assert self._http is not None
        try:
            return (await self._http.get(f"{self.url}/health", timeout=5)).status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL):
            return False

    # The process.

    async def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not await self.health():
            self._raise_if_dead()
            if time.monotonic() > deadline:
                raise ServerError(
                    f"the llama.cpp server was not ready after {_START_SECONDS:.0f} s", self._see_log()
                )
            await asyncio.sleep(0.1)

    def _see_log(self) -> str:
        return f"see {self.log_path}" if self.log_path else "the server's own log says more"

    def _raise_if_dead(self) -> None:
        if self._process is not None:
            self._process.raise_if_dead()

    # HTTP.

    async def _post(self, path: str, body: Any) -> httpx.Response:
        return await self._request("POST", path, json=body)

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; tried again only when it never reached the server or the model is loading."""
        assert self._http is not None, "start the client first: async with LlamaCppClient(...)"
        for attempt in range(5):
            try:
                response = await self._http.request(method, self.url + path, **options)
            except httpx.ConnectError as error:
                self._raise_if_dead()
                last: Exception = error
            except httpx.TimeoutException:
                raise ServerError(
                    f"{path} took longer than {self.timeout:g} s",
                    "raise --request-timeout or lower --parallel-requests",
                ) from None
            except httpx.HTTPError as error:
                await asyncio.sleep(0.2)
                self._raise_if_dead()
                raise ServerError(f"{path} failed: {error!r}", self._see_log()) from None
            else:
                if response.status_code != 503:
                    return response
                last = RuntimeError("the model is still loading")
            await asyncio.sleep(0.2 * 2**attempt)
        raise ServerError(f"{self.url} does not answer: {last}", self._see_log())

    def _value(self, response: httpx.Response, path: str) -> dict[str, Any]:
        if response.status_code != 200:
            raise ServerError(
                f"{path} answered {response.status_code}: {_message_of(response)}", self._see_log()
            )
        try:
            value: dict[str, Any] = response.json()
        except ValueError:
            raise ServerError(f"{path} did not answer with JSON", f"is {self.url} llama.cpp's?") from None
        return value


# What llama-server says, with status 500, when the model's own text is no valid call, by build (ggml-org/llama.cpp
# issues 24327 and 27025); the third is its JSON parser's own.
_NO_CALL = re.compile(
    r"^Failed to parse input|^The model produced output that does not match|json\.exception\.parse_error"
)


def _message_of(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]


def _writable(text: str) -> str:
    """Halves of surrogate pairs, which a model may write and no file takes, become question marks."""
    return text.encode(errors="replace").decode()


def _read_reply(value: Mapping[str, Any], seconds: float) -> ChatReply:
    choice = value["choices"][0]
    message, finish = choice["message"], choice.get("finish_reason") or ""
    content = _writable(message.get("content") or "")
    calls, error, wire = [], "", content
    for entry in message.get("tool_calls") or ():
        name, text = entry["function"]["name"], entry["function"]["arguments"]
        wire += _writable(f'\n<tool_call>\n{{"name": {json.dumps(name)}, "arguments": {text}}}\n</tool_call>')
        arguments = parse_arguments(text)
        if arguments is None:
            error = "truncated" if finish == "length" else "invalid_json"
        else:
            calls.append(ToolCall(name, arguments))
    if not calls and not error:
        parsed = parse_reply(content)
        calls, content, error = list(parsed.calls), parsed.text, parsed.error
    usage = value.get("usage") or {}
    return ChatReply(
        tuple(calls), content, wire.strip(), error, finish,
        usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), seconds,
    )  # fmt: skip
