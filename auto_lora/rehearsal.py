"""So that the base is not forgotten: its own answers to ordinary prompts without tools, trained on beside the calls.

Training on short calls and refusals alone moves ordinary answers, too: 1.33 nats per token after the demo's 2,400
conversations. Replaying a model's own answers holds them (self-synthesised rehearsal, Huang et al., arXiv 2403.01244).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from auto_lora._base_model import Base
from auto_lora._conversation import Conversation
from auto_lora._runs import read_json
from auto_lora._shared_prefix import plain_attention
from auto_lora.dialogues.phrasebook import phrases, share_out, words_of
from auto_lora.encode import ChatTemplate

ANSWER_TOKENS = 48
_BATCH = 32  # prompts answered at once
PROBES_FILE = Path(__file__).parent / "probes" / "forgetting.json"  # what forgetting is measured with


def rehearse(
    base: Base, template: ChatTemplate, count: int, seed: int, system_prompt: str = ""
) -> list[Conversation]:
    """What the base answers, greedily, to `count` of the phrasebook's ordinary prompts; fewer where there are fewer.

    They show no tools. An answer that reached the token limit has `meta["cut"]`: its end is none to learn.
    """
    stock = _stock()
    prompts = random.Random(f"{seed}/rehearsal").sample(stock, min(count, len(stock)))
    before: tuple[dict[str, Any], ...] = (
        ({"role": "system", "content": system_prompt},) if system_prompt else ()
    )
    asked = [(*before, {"role": "user", "content": p}) for p in prompts]
    made: list[Conversation] = []
    for start in range(0, len(asked), _BATCH):
        part = asked[start : start + _BATCH]
        for messages, (text, cut) in zip(part, _answers(base, template, part), strict=True):
            if text:
                number = f"rehearsal-{seed}-{len(made):06d}"
                answer = {"role": "assistant", "content": text}
                meta = {"writer": "the base", "cut": cut}
                made.append(Conversation(number, "no_call", (*messages, answer), (), meta))
    return made


def _stock() -> list[str]:
    """The training split's ordinary prompts but those near one that forgetting is measured with."""
    probes = [set(words_of(p)) for kind in read_json(PROBES_FILE).values() for p in kind]

    def apart(prompt: str) -> bool:
        words = set(words_of(prompt))
        return all(len(words & probe) < 0.75 * len(words) for probe in probes)

    chat = [p for group in phrases("chat")["groups"] for p in share_out(group["prompts"], "train")]
    return [p for p in chat if apart(p)]


def _answers(
    base: Base, template: ChatTemplate, asked: Sequence[Sequence[dict[str, Any]]]
) -> list[tuple[str, bool]]:
    """Greedy answers, and whether each was cut at the limit."""
    device = base.model.get_input_embeddings().weight.device
    prompts = [template.encode(template.render(messages, prompt=True)) for messages in asked]
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    seen = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        seen[row, width - len(prompt) :] = 1
    with torch.inference_mode(), plain_attention(base.model):
        made = base.model.generate(
            input_ids=ids.to(device), attention_mask=seen.to(device), max_new_tokens=ANSWER_TOKENS,
            do_sample=False, use_cache=True, eos_token_id=sorted(template.special_ids), pad_token_id=0,
        )  # fmt: skip
    found = []
    for tokens in made[:, width:].tolist():
        end = next((i for i, t in enumerate(tokens) if t in template.special_ids), None)
        text = template.tokenizer.decode(tokens[:end]).strip().rstrip("\ufffd")
        found.append((text, end is None))
    return found
