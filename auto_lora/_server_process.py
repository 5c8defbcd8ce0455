"""The process of a llama.cpp server: found, started, ended.

`llama-server` from LLAMA_CPP_PATH or PATH is used, else the embedded one of the package xllamacpp; both speak the same HTTP.
The server listens on 127.0.0.1 only, writes a log, and ends with this program however that ends (see `_server_child`).
No prompt cache outlives a phase: restored slots can hold another conversation's state (llama.cpp issues 26207, 27148).
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
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from auto_lora._errors import MissingPartError, OutputError, ServerError

_PLACES = ("", "build/bin", "build/bin/Release", "bin")
_KEPT = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "SYSTEMROOT", "USERPROFILE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
         "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "VIRTUAL_ENV", "PYTHONPATH")  # fmt: skip


@dataclass(frozen=True)
class ServerBinary:
    """Where a server comes from: kind "native" with its path, or "embedded" (xllamacpp)."""

    kind: str
    path: Path | None = None


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


@dataclass(frozen=True)
class Served:
    """What a server serves; the meaning of each is `LlamaCppClient`'s."""

    model_path: str | Path
    adapter_path: str | Path | None
    adapter_scale: float
    chat_template_file: str | Path | None
    context: int
    parallel: int


class ServerProcess:
    """A server below this program.

    Args:
        port: 0 for a free one.
        log_path: where its output goes; default: a temporary file, gone with the server.
        llama_cpp_path: where to look for llama-server; default: LLAMA_CPP_PATH.

    Raises:
        ServerError: the port is taken.
        MissingPartError: there is no server to start.
    """

    def __init__(
        self, served: Served, port: int, log_path: Path | None, llama_cpp_path: str | Path | None = None
    ) -> None:
        self.served, self.log_path = served, log_path
        self._temporary_log: Path | None = None
        binary = find_server(llama_cpp_path)
        port = port or free_port()
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

    def let_go(self) -> None:
        """Closes the pipe, upon which the server ends by itself."""
        if self._process.stdin:
            self._process.stdin.close()

    async def stop(self) -> None:
        """Waits until the server has ended; kills it after 10 s."""
        self.let_go()
        try:
            await asyncio.to_thread(self._process.wait, 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._temporary_log:
            self._temporary_log.unlink(missing_ok=True)

    def raise_if_dead(self) -> None:
        """Raises ServerError, with the last lines of the log, when the server has ended."""
        if self._process.poll() is None:
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

    def _native(self, server: Path, port: int) -> dict[str, Any]:
        served = self.served
        argv = [
            str(server), "-m", str(served.model_path), "--host", "127.0.0.1", "--port", str(port), "--jinja",
            "-c", str(served.context * served.parallel), "-np", str(served.parallel),
        ]  # fmt: skip
        if served.chat_template_file:
            argv += ["--chat-template-file", str(served.chat_template_file)]
        known = _flags_of(server)
        if served.adapter_path and served.adapter_scale == 1.0:
            argv += ["--lora", str(served.adapter_path)]
        elif served.adapter_path and "--lora-scaled FNAME SCALE" in known:  # two words in some builds
            argv += ["--lora-scaled", str(served.adapter_path), str(served.adapter_scale)]
        elif served.adapter_path:
            argv += ["--lora-scaled", f"{served.adapter_path}:{served.adapter_scale}"]
        optional = (("--cache-ram", "0"), ("--no-cache-idle-slots",), ("--no-webui",), ("--offline",))
        for flag in optional:
            if flag[0] in known:
                argv += flag
        if "on|off|auto" in known:  # before that it was off unless asked for; why off: see _server_child
            argv += ("--flash-attn", "off")
        return {"argv": argv}

    def _embedded(self, port: int) -> dict[str, Any]:
        served = self.served
        template = (
            Path(served.chat_template_file).read_text(encoding="utf-8") if served.chat_template_file else ""
        )
        settings = {
            "model": str(served.model_path),
            "context": served.context * served.parallel,
            "parallel": served.parallel,
            "port": port,
            "chat_template": template,
            "adapter": str(served.adapter_path) if served.adapter_path else "",
            "scale": served.adapter_scale,
        }
        return {"embedded": settings}

    def _open_log(self) -> BinaryIO:
        if self.log_path is None:
            handle, name = tempfile.mkstemp(prefix="llama_server_", suffix=".log")
            self._temporary_log = Path(name)
            return os.fdopen(handle, "wb")
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            return open(self.log_path, "wb")
        except OSError as error:
            raise OutputError(
                f"{self.log_path} cannot be written: {error.strerror or error}",
                "check the folder's permissions",
            ) from None


def _package_path() -> str:
    """So that the child finds this package from any working directory."""
    return os.pathsep.join(p for p in (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")) if p)
