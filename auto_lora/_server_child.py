"""The process that holds llama.cpp's server, and ends with the program that started it.

`python -m auto_lora._server_child JSON` either runs a native llama-server below itself
(`{"argv": [...]}`) or the embedded xllamacpp in itself (`{"embedded": {...}}`). It lives as long as
its standard input is open: when the parent ends, however it ends, the pipe closes and so does this.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any


def main(text: str) -> int:
    settings = json.loads(text)
    if "argv" in settings:
        return _native(settings["argv"])
    return _embedded(settings["embedded"])


def _native(argv: list[str]) -> int:
    preexec = _die_with_parent if sys.platform == "linux" else None
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=preexec)
    signal.signal(signal.SIGTERM, lambda *_: server.kill())

    def end_with_parent() -> None:
        # Not sys.stdin: a thread that holds its lock aborts the interpreter when the server dies first.
        while os.read(0, 4096):
            pass
        server.kill()

    threading.Thread(target=end_with_parent, daemon=True).start()
    return server.wait()


def _die_with_parent() -> None:
    """Linux: the kernel kills the server should this watcher itself be killed (prctl(2))."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _embedded(settings: dict[str, Any]) -> int:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.n_ctx = settings["context"]
    params.n_parallel = settings["parallel"]
    params.port = settings["port"]
    params.kv_unified = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.use_jinja = True
    params.endpoint_slots = True
    params.ui = False
    # On a processor flash attention sums in half precision, in an order that depends on where a cached prefix ended.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if settings["chat_template"]:
        params.chat_template = settings["chat_template"]
    if settings["adapter"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = settings["adapter"], settings["scale"]
        params.lora_adapters = [adapter]
    server = xllamacpp.Server(params)
    while os.read(0, 4096):
        pass
    del server
    # The library's own threads do not end by themselves.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
