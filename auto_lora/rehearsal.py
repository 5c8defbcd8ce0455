"""So that the base is not forgotten: its own answers to ordinary prompts without tools, trained on beside the calls.

Training on short calls and refusals alone moves ordinary answers, too: 1.33 nats per token after the demo's 2,400
conversations. Replaying a model's own answers holds them (self-synthesised rehearsal, Huang et al., arXiv 2403.01244).
Beside the tools ordinary prompts keep their stock phrases: with the base's own answers there, too, the demo called a
tool in 59 of 83 requests that none covers, with stock phrases in 27.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from auto_lora._base_model import Base
from auto_lora._conversation import Conversation, Message
from auto_lora._runs import read_json, write_json
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import plain_attention
from auto_lora.dialogues.definitions.phrasebook import phrases, share_out, words_of
from auto_lora.encode import ChatTemplate

ANSWER_TOKENS = 48
_BATCH = 32  # prompts answered at once
PROBES_FILE = Path(__file__).parent / "probes" / "forgetting.json"  # what forgetting is measured with


@dataclass(frozen=True)
class OwnAnswer:
    """What the base said; `cut`: it reached the token limit, so its end is none to learn."""

    text: str
    cut: bool

    @property
    def worth_learning(self) -> bool:
        """Whether there is a text that does not go round in circles, as small models' answers do."""
        runs = word_runs(self.text)
        return bool(self.text) and len(runs) >= 0.9 * sum(runs.values())


def word_runs(text: str) -> Counter[tuple[str, ...]]:
    """How often each run of four words comes; in text without spaces, of four characters."""
    words = re.findall(r"\w[\w']*", text.casefold())
    if len(words) < len(text) / 20:
        words = list(text.casefold())
    return Counter(zip(words, words[1:], words[2:], words[3:], strict=False))


def rehearse(base: Base, template: ChatTemplate, config: TrainingConfig, path: Path) -> list[Conversation]:
    """The conversations that a run rehearses, `config.num_rehearsed` at most.

    Args:
        path: JSON file of the base's answers; what is in it is not asked again.
    """
    known = {p: OwnAnswer(**a) for p, a in read_json(path).items()} if path.is_file() else {}
    count = config.num_rehearsed
    if missing := set(rehearsal_prompts(count, config.seed)) - known.keys():
        known |= own_answers(base, template, missing, config.system_prompt)
        write_json(path, {p: asdict(a) for p, a in known.items()})
    return rehearsed(known, count, config.seed, config.system_prompt)


def rehearsal_prompts(count: int, seed: int) -> list[str]:
    """`count` of the training split's ordinary prompts; fewer where there are fewer."""
    stock = ordinary_stock()
    return random.Random(f"{seed}/rehearsal").sample(stock, min(count, len(stock)))


def own_answers(
    base: Base, template: ChatTemplate, prompts: Iterable[str], system_prompt: str = ""
) -> dict[str, OwnAnswer]:
    """What the base answers, greedily and without tools, by prompt."""
    ordered = sorted(prompts, key=lambda p: (len(p), p))
    found: dict[str, OwnAnswer] = {}
    for start in range(0, len(ordered), _BATCH):
        part = ordered[start : start + _BATCH]
        asked = [(*_system(system_prompt), {"role": "user", "content": p}) for p in part]
        found |= zip(part, _answers(base, template, asked), strict=True)
    return found


def rehearsed(
    answers: Mapping[str, OwnAnswer], count: int, seed: int, system_prompt: str = ""
) -> list[Conversation]:
    """Conversations without tools, on those `rehearsal_prompts` whose answer is worth learning."""
    made = []
    for number, prompt in enumerate(rehearsal_prompts(count, seed)):
        own = answers[prompt]
        if not own.worth_learning:
            continue
        said = ({"role": "user", "content": prompt}, {"role": "assistant", "content": own.text})
        meta = {"writer": "the base", "cut": own.cut}
        name = f"rehearsal-{seed}-{number:06d}"
        made.append(Conversation(name, "no_call", (*_system(system_prompt), *said), (), meta))
    return made


def _system(prompt: str) -> tuple[Message, ...]:
    return ({"role": "system", "content": prompt},) if prompt else ()


@cache
def ordinary_stock() -> tuple[str, ...]:
    """The training split's ordinary prompts: chat that asks for no tool, but those near one that forgetting is measured with."""
    probes = [set(words_of(p)) for kind in read_json(PROBES_FILE).values() for p in kind]

    def apart(prompt: str) -> bool:
        words = set(words_of(prompt))
        return all(len(words & probe) < 0.75 * len(words) for probe in probes)

    chat = [g for g in phrases("chat")["groups"] if g["answer"] != phrases("no_call")["uncovered"]]
    return tuple(p for group in chat for p in share_out(group["prompts"], "train") if apart(p))


def _answers(
    base: Base, template: ChatTemplate, asked: Sequence[Sequence[dict[str, Any]]]
) -> list[OwnAnswer]:
    """Greedy answers."""
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
        found.append(OwnAnswer(text, end is None))
    return found
