"""The judge is judged before it judges: real HTTP, the answers of the stub known."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from auto_lora import TrainingConfig, judge
from auto_lora._conversation import Conversation
from auto_lora._errors import ServerError
from auto_lora._model_url import client_options
from auto_lora._progress import Quiet
from auto_lora.handover import quality_sentence
from auto_lora.judge import FIT, Judge, sanity_set
from auto_lora.llama_server import LlamaCppClient
from auto_lora.score_pair import Examiner

GOOD = {p.second for p in sanity_set()} | {"the adapter's answer"}
CASE = Conversation(
    "p", "single", ({"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}), ()
)
BASE, ADAPTER = {"p": "the base's answer"}, {"p": "the adapter's answer"}


@pytest.fixture
def served():
    """Starts an OpenAI-compatible server whose verdict is a function of the two answers."""
    servers = []

    def start(verdict, status=lambda: 200) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][0]["content"]
                a, rest = text.split("\n\nAnswer A: ")[1].split("\n\nAnswer B: ")
                content = verdict(a, rest.split("\n\nReply with JSON")[0])
                answer = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
                self.send_response(status())
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def winner(name: str) -> str:
    return json.dumps({"winner": name})


def oracle(a: str, b: str) -> str:
    return winner("A" if a in GOOD else "B")


def test_the_sanity_set_holds_every_kind_and_no_pair_twice():
    pairs = sanity_set()
    kinds = Counter(p.kind for p in pairs)
    assert set(kinds) == {"invented number", "ignores the result", "wrong entity", "empty", "rambling"}
    assert min(kinds.values()) >= 4 and len({p.request for p in pairs}) == len(pairs) >= 24
    assert all(p.second and p.second != p.first and all(json.loads(r) for r in p.results) for p in pairs)


async def test_an_oracle_is_accepted_and_judges(served):
    quality = await Judge(served(oracle)).judge([CASE], BASE, ADAPTER)
    assert quality["fit"] and quality["sanity"]["share"] == 1 and not quality["missed"]
    assert quality["judged"] == quality["wins"] == 1
    assert "adapter better 1" in quality_sentence({"quality": quality})


@pytest.mark.parametrize(
    "verdict",
    [
        lambda a, b: winner("A"),
        lambda a, b: winner("tie"),
        lambda a, b: winner("A" if len(a) > len(b) else "B"),
        lambda a, b: "I like both",
        lambda a, b: oracle(b, a),
    ],
    ids=["always A", "always tie", "the longer", "no JSON", "the broken one"],
)
async def test_a_judge_that_cannot_tell_is_unfit_and_its_verdicts_are_not_used(served, verdict):
    quality = await Judge(served(verdict)).judge([CASE], BASE, ADAPTER)
    assert not quality["fit"] and quality["sanity"]["of"] == len(sanity_set()) and "wins" not in quality
    assert sum(quality["missed"].values()) == quality["sanity"]["of"] - quality["sanity"]["count"]
    sentence = quality_sentence({"quality": quality})
    assert "unfit" in sentence and f"{quality['sanity']['count']}/24" in sentence and "better" not in sentence


@pytest.mark.parametrize("mistakes", [4, 5])
async def test_the_limit(served, mistakes):
    """24 pairs: 20 right are enough, 19 are not."""
    wrong = {p.second for p in sanity_set()[:mistakes]}

    def verdict(a: str, b: str) -> str:
        return winner("tie") if {a, b} & wrong else oracle(a, b)

    quality = await Judge(served(verdict)).judge([CASE], BASE, ADAPTER)
    assert quality["fit"] is (mistakes == 4) is (quality["sanity"]["count"] >= FIT * 24)


@pytest.mark.parametrize(
    ("verdict", "counted"),
    [
        (lambda a, b: winner("A" if "adapter" in a else "B"), "wins"),
        (lambda a, b: winner("A" if "base" in a else "B"), "losses"),
        (lambda a, b: winner("A"), "ties"),
        (lambda a, b: winner("maybe"), "unreadable"),
    ],
)
async def test_only_verdicts_that_survive_swapping_count(served, verdict, counted):
    counts = await Judge(served(verdict)).compare([CASE], BASE, ADAPTER)
    assert counts[counted] == counts["judged"] == 1


async def test_a_busy_judge_is_asked_again(served, monkeypatch):
    monkeypatch.setattr(judge, "_PAUSES", (0.0, 0.0))
    busy = iter([429, 500, *[200] * 3, 503, *[200] * 99])
    quality = await Judge(served(oracle, lambda: next(busy)), parallel=1).judge([CASE], BASE, ADAPTER)
    assert quality["fit"] and quality["sanity"]["count"] == 24 and quality["wins"] == 1


async def test_a_judge_that_fails_leaves_the_other_figures(served, monkeypatch):
    monkeypatch.setattr(judge, "_PAUSES", ())
    config = TrainingConfig(judge_url=served(oracle, lambda: 500))
    examiner = Examiner(config, [CASE], [], Quiet(), {})
    quality = await examiner._judge(BASE, ADAPTER, lambda name: None)
    assert not quality["fit"] and quality_sentence({"quality": quality}).startswith(
        f"Response quality was not judged: the judge at {config.judge_url.removesuffix('/v1')} failed"
    )


async def test_an_absent_judge_is_one_sentence(monkeypatch):
    monkeypatch.setattr(judge, "_PAUSES", (0.0,))
    with pytest.raises(ServerError, match="the judge at http://127.0.0.1:9"):
        await Judge("http://127.0.0.1:9", timeout=1).judge([CASE], BASE, ADAPTER)


async def test_what_is_no_url_is_one_sentence_too():
    with pytest.raises(ServerError, match="the judge at http://127.0.0.1:x failed"):
        await Judge("http://127.0.0.1:x").judge([CASE], BASE, ADAPTER)


async def test_a_proxy_is_not_asked_for_what_runs_here(served, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(judge, "_PAUSES", ())
    for url in (served(oracle), served(oracle).replace("127.0.0.1", "localhost")):
        assert (await Judge(url).judge([CASE], BASE, ADAPTER))["fit"]
    with pytest.raises(ServerError):  # what is elsewhere is asked through it
        await Judge("http://judge.example", timeout=2).judge([CASE], BASE, ADAPTER)
    assert (
        not client_options("http://[::1]:80")["trust_env"] and client_options("https://a.b/v1")["trust_env"]
    )


@pytest.mark.slow
async def test_the_embedded_model_is_no_judge(smollm):
    async with LlamaCppClient(smollm, context=1024, parallel=2) as client:
        quality = await Judge(client.url, "base model", parallel=2).judge([CASE], BASE, ADAPTER)
    assert not quality["fit"] and quality["sanity"]["of"] == 24 and "wins" not in quality
    assert quality["sanity"]["share"] < 0.5
