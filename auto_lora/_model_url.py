"""An OpenAI-compatible URL of a model that others serve: its root, its key, and whether a proxy is on the way."""

from __future__ import annotations

import ipaddress
import os
from typing import Any
from urllib.parse import urlsplit


def root_of(url: str) -> str:
    """The server's root, whether the URL is that or its `/v1`."""
    return url.rstrip("/").removesuffix("/v1")


def fault_of_url(url: str) -> str:
    """What is wrong with a URL, "" when nothing is."""
    if not url.startswith(("http://", "https://")):
        return "begin it with http:// or https://"
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0 and not any(c.isspace() for c in url)
    except ValueError:  # a bracket of IPv6 alone, a port that is no number up to 65535
        whole = False
    return "" if whole else "write it as http://HOST:PORT, the port from 1 to 65535"


def client_options(url: str) -> dict[str, Any]:
    """Headers and `trust_env` for httpx: the key from AUTO_LORA_API_KEY; proxies and certificates as the
    environment says, but never between this machine and itself."""
    key = os.environ.get("AUTO_LORA_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"headers": headers, "trust_env": not _is_here(url)}


def _is_here(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or no URL at all
        return False
