"""Stage 6: llama.cpp's server, started or found, and its client.

`llama-server` from LLAMA_CPP_PATH or PATH is used, else the embedded one of the package xllamacpp;
both speak the same HTTP. The server listens on 127.0.0.1 only, writes a log, and ends with this
program however that ends (see `_server_child`). No prompt cache outlives a phase: restored slots
can hold another conversation's state (llama.cpp issues 26207, 27148).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from auto_lora._errors import MissingPartError, ServerError
from auto_lora._toolcall import ToolCall, parse_arguments, parse_reply

_PLACES = ("", "build/bin", "build/bin/Release", "bin")
_KEPT = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "SYSTEMROOT", "USERPROFILE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
         "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "VIRTUAL_ENV", "PYTHONPATH")  # fmt: skip
_START_SECONDS = 600.0  # a 70 GB model from a slow disk


@dataclass(frozen=True)
class ServerBinary:
    """Where a server comes from: kind "native" with its path, or "embedded" (xllamacpp)."""

    kind: str
    path: Path | None = None


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


def find_server(llama_cpp_path: str | Path | None = None) -> ServerBinary:
    """The server to use: LLAMA_CPP_PATH (root, build/bin, bin), PATH, else the embedded one.

    Raises:
        MissingPartError: there is none, or none where LLAMA_CPP_PATH points.
    """
    checkout = llama_cpp_path or os.environ.get("LLAMA_CPP_PATH")
    names = ("llama-server", "llama-server.exe")
    if checkout:
        for place in _PLACES:
            for name in names:
                path = Path(checkout, place, name)
                if path.is_file() and os.access(path, os.X_OK):
                    return ServerBinary("native", path)
    on_path = shutil.which("llama-server")
    if on_path:
        return ServerBinary("native", Path(on_path))
    if find_spec("xllamacpp") is not None:
        return ServerBinary("embedded")
    where = (
        f"LLAMA_CPP_PATH ({checkout}) holds no llama-server and there is none on PATH"
        if checkout
        else "no llama.cpp server was found"
    )
    raise MissingPartError(
        where, "build llama.cpp and set LLAMA_CPP_PATH to its folder, or: pip install xllamacpp"
    )


def free_port() -> int:
    """A port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Raises ServerError when something listens on the port already."""
    with socket.socket() as probe:
        if os.name == "posix":  # on Windows it would let a port in use be taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerError(
                f"port {port} cannot be used: {error.strerror}",
                "choose another with --port, or 0 for a free one",
            ) from None


@cache
def _flags_of(server: Path) -> str:
    """The help text of a native server, by which optional flags are chosen.

    Raises:
        ServerError: it cannot be run at all (built for another system), or hangs.
    """
    try:
        done = subprocess.run(
            [str(server), "--help"],
            capture_output=True,
            text=True,
            errors="replace",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or "it hangs"
        raise ServerError(
            f"{server} cannot be run: {reason}",
            "build llama.cpp on this machine, or unset LLAMA_CPP_PATH to use the embedded server",
        ) from None
    return done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k in _KEPT}


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
        self._temporary_log: Path | None = None
        self.llama_cpp_path = llama_cpp_path
        self.url = url.rstrip("/").removesuffix("/v1") if url else ""
        self._process: subprocess.Popen[bytes] | None = None
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
            self._spawn()
            await self._wait_until_healthy()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the server that was started here; a server given by URL goes on."""
        process, self._process = self._process, None
        if process and process.stdin:
            process.stdin.close()  # before anything awaits: a cancelled stop still ends the server
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._temporary_log:
            self._temporary_log.unlink(missing_ok=True)

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
        if response.status_code >= 500 and "parse" in response.text.lower():
            # llama-server answers 500 when the model's own text is no valid call.
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

    def _spawn(self) -> None:
        if self.model_path is None:
            raise ServerError(
                "there is neither a model to serve nor a server's URL", "give model_path or url"
            )
        binary = find_server(self.llama_cpp_path)
        port = self.port or free_port()
        check_port(port)
        settings = self._native(binary.path, port) if binary.path else self._embedded(port)
        self.url = f"http://127.0.0.1:{port}"
        with self._open_log() as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "auto_lora._server_child", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment() | {"PYTHONPATH": _package_path()},
                start_new_session=True,  # Ctrl-C reaches this program, which then stops the server
            )

    def _native(self, server: Path, port: int) -> dict[str, Any]:
        argv = [
            str(server), "-m", str(self.model_path), "--host", "127.0.0.1", "--port", str(port), "--jinja",
            "-c", str(self.context * self.parallel), "-np", str(self.parallel),
        ]  # fmt: skip
        if self.chat_template_file:
            argv += ["--chat-template-file", str(self.chat_template_file)]
        if self.adapter_path and self.adapter_scale == 1.0:
            argv += ["--lora", str(self.adapter_path)]
        elif self.adapter_path:
            argv += ["--lora-scaled", f"{self.adapter_path}:{self.adapter_scale}"]
        known = _flags_of(server)
        optional = (("--cache-ram", "0"), ("--no-cache-idle-slots",), ("--no-webui",), ("--offline",))
        for flag in optional:
            if flag[0] in known:
                argv += flag
        if "on|off|auto" in known:  # before that it was off unless asked for; why off: see _server_child
            argv += ("--flash-attn", "off")
        return {"argv": argv}

    def _embedded(self, port: int) -> dict[str, Any]:
        template = (
            Path(self.chat_template_file).read_text(encoding="utf-8") if self.chat_template_file else ""
        )
        settings = {
            "model": str(self.model_path),
            "context": self.context * self.parallel,
            "parallel": self.parallel,
            "port": port,
            "chat_template": template,
            "adapter": str(self.adapter_path) if self.adapter_path else "",
            "scale": self.adapter_scale,
        }
        return {"embedded": settings}

    def _open_log(self) -> BinaryIO:
        if self.log_path is None:
            handle, name = tempfile.mkstemp(prefix="llama_server_", suffix=".log")
            self._temporary_log = Path(name)
            return os.fdopen(handle, "wb")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        return open(self.log_path, "wb")

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
        if self._process is None or self._process.poll() is None:
            return
        tail = ""
        log = self.log_path or self._temporary_log
        if log and log.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            tail = ":\n" + "\n".join(f"  {line}" for line in lines[-8:])
        raise ServerError(
            f"the llama.cpp server ended with exit code {self._process.returncode}{tail}",
            f"its whole log is {self.log_path}" if self.log_path else "give log_path to keep its log",
        )

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


def _package_path() -> str:
    """So that the child finds this package from any working directory."""
    return os.pathsep.join(p for p in (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")) if p)


def _message_of(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]


def _read_reply(value: Mapping[str, Any], seconds: float) -> ChatReply:
    choice = value["choices"][0]
    message, finish = choice["message"], choice.get("finish_reason") or ""
    content = message.get("content") or ""
    calls, error, wire = [], "", content
    for entry in message.get("tool_calls") or ():
        name, text = entry["function"]["name"], entry["function"]["arguments"]
        wire += f'\n<tool_call>\n{{"name": {json.dumps(name)}, "arguments": {text}}}\n</tool_call>'
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
