"""Stage 3: conversations to tokens, with the chat template that the server will use.

The same template text goes to the trainer (here) and to llama.cpp (`--chat-template-file`).
Loss is taken on assistant tokens only. Prompt and answer are tokenised apart, as a server does
it: the prompt by the server, the answer token by token by the model.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from auto_lora._conversation import Conversation, Message
from auto_lora._errors import DataError

IGNORED = -100  # PyTorch's and PEFT's label for "no loss here"
# What a template is tried with.
_PROBE = (
    {"role": "user", "content": "x"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "probe_call", "arguments": {}}}],
    },
    {"role": "tool", "tool_call_id": "a", "name": "probe_call", "content": "probe_result"},
)
_SYSTEM = {"role": "system", "content": "s"}
_ASKED = ({"role": "assistant", "content": "y"}, {"role": "user", "content": "z"})


def _tool(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    return {
        "type": "function",
        "function": {"name": name, "description": f"d {name}", "parameters": parameters},
    }


@dataclass(frozen=True)
class Example:
    """One token sequence, in two parts so that examples of one tool list hold its tokens once.

    Args:
        head: its first token ids, without loss; one tuple for many examples.
        own: the token ids after them.
        own_target: per own token, whether it carries loss (it is predicted from the one before).
        conversation_id: where it came from.
        key: equal for examples that begin with the same system prompt and tools.
    """

    head: tuple[int, ...]
    own: array[int]
    own_target: bytes
    conversation_id: str
    key: str

    @classmethod
    def of(
        cls,
        ids: Sequence[int],
        target: Sequence[bool],
        conversation_id: str,
        key: str,
        head: tuple[int, ...] = (),
    ) -> Example:
        """From a whole sequence that begins with `head`."""
        n = len(head)
        return cls(head, array("i", ids[n:]), bytes(target[n:]), conversation_id, key)

    def __len__(self) -> int:
        return len(self.head) + len(self.own)

    @property
    def ids(self) -> tuple[int, ...]:
        return (*self.head, *self.own)

    @property
    def target(self) -> tuple[bool, ...]:
        return (False,) * len(self.head) + tuple(map(bool, self.own_target))

    @property
    def first_target(self) -> int:
        return len(self.head) + self.own_target.index(1)

    @property
    def targets(self) -> int:
        """How many tokens carry loss."""
        return self.own_target.count(1)

    def split_at(self, head: tuple[int, ...]) -> Example:
        """The same sequence with another head, which it begins with."""
        return Example.of(self.ids, self.target, self.conversation_id, self.key, head)


@dataclass(frozen=True)
class PrefixGroup:
    """Examples that begin with the same tokens, computed once for all of them; `prefix` is their head."""

    prefix: tuple[int, ...]
    examples: tuple[Example, ...]


class ChatTemplate:
    """A model's chat template, and the tokeniser's half of the contract with the server.

    Args:
        tokenizer: a transformers tokenizer.
        text: Jinja template; default: the tokenizer's own when it can render tools and calls,
            else the shipped Hermes one.
    """

    def __init__(self, tokenizer: Any, text: str | None = None) -> None:
        self.tokenizer = tokenizer
        own = getattr(tokenizer, "chat_template", None)
        if text is None:
            text = own if isinstance(own, str) and self._knows_tools(own) else hermes_template()
        self.text: str = text
        self.source = "the model's own" if text == own else "hermes"

    @cached_property
    def bos(self) -> list[int]:
        """What the tokenizer puts first by itself: [] or the beginning-of-sequence token."""
        with_special = self.tokenizer("x", add_special_tokens=True)["input_ids"]
        return [i for i in with_special[:1] if i == self.tokenizer.bos_token_id]

    @cached_property
    def special_ids(self) -> frozenset[int]:
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        return frozenset(self.tokenizer.all_special_ids) | {i for i, t in added.items() if t.special}

    def render(self, messages: Sequence[Message], tools: Sequence[Any] = (), *, prompt: bool) -> str:
        """The text of a conversation; `prompt` opens the assistant's next turn.

        Raises:
            DataError: the template refuses these messages.
        """
        from jinja2.exceptions import TemplateError

        try:
            return self.tokenizer.apply_chat_template(
                [_with_objects(m) for m in messages],
                tools=list(tools) or None,
                chat_template=self.text,
                add_generation_prompt=prompt,
                tokenize=False,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise DataError(f"the chat template refuses a conversation: {error}") from None

    def encode(self, text: str) -> list[int]:
        """Tokens of a prompt as llama-server makes them (special tokens parsed, one BOS).

        Source: llama.cpp common/chat.cpp drops a rendered BOS when the vocabulary adds its own.
        """
        if self.bos and text.startswith(self.tokenizer.bos_token):
            text = text[len(self.tokenizer.bos_token) :]
        return self.bos + self.pieces(text)

    def pieces(self, text: str) -> list[int]:
        """Tokens of text inside a sequence: nothing is put before it."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def encode_turn(
        self, history: Sequence[Message], answer: Message, tools: Sequence[Any]
    ) -> tuple[list[int], list[int]]:
        """Tokens of the prompt, and of the answer up to and with its end-of-turn token."""
        prompt = self.render(history, tools, prompt=True)
        whole = self.render([*history, answer], tools, prompt=False)
        if not whole.startswith(prompt):
            raise DataError("the chat template writes a finished turn unlike the prompt for it")
        reply = self.pieces(whole[len(prompt) :])
        ends = [i for i, token in enumerate(reply) if token in self.special_ids]
        if not ends:
            raise DataError("the chat template ends an answer without a special token")
        return self.encode(prompt), reply[: ends[-1] + 1]

    @cached_property
    def invocation(self) -> tuple[int, ...]:
        """The tokens after which an activated adapter acts: once in a conversation, right before the user's first message, where tools are listed.

        The fewest that do; they end with a special token, so that no word of the user's joins them, and hold nothing of a tool.

        Raises:
            DataError: the template has no such tokens.
        """
        before, other = (self._before_the_user(name) for name in ("probe_tool", "another"))
        end = next((n for n in range(len(before), 0, -1) if before[n - 1] in self.special_ids), 0)
        cut = len(before) - end
        fixed = len(_common(before[:end][::-1], other[: len(other) - cut][::-1]))
        whole = self.encode(self.render([*_PROBE, *_ASKED], [_tool("probe_tool")], prompt=True))
        bare = self.encode(self.render([_SYSTEM, *_ASKED[1:]], prompt=True))
        for start in range(end - 1, end - fixed - 1, -1):
            run = before[start:end]
            if last_run_of(run, whole) == start and last_run_of(run, bare) is None:
                return run
        raise DataError(
            "the chat template has no words of its own between tools and user", "leave --activated out"
        )

    def _before_the_user(self, tool: str) -> tuple[int, ...]:
        texts = (self.render([{"role": "user", "content": c}], [_tool(tool)], prompt=False) for c in "xy")
        one, two = (tuple(self.encode(t)) for t in texts)
        return _common(one, two)

    def _knows_tools(self, text: str) -> bool:
        try:
            shown = self.tokenizer.apply_chat_template(
                _PROBE, tools=[_tool("probe_tool")], chat_template=text, tokenize=False
            )
        except Exception:  # any failure of an untrusted template means: not usable for tools
            return False
        return all(word in shown for word in ("probe_tool", "probe_call", "probe_result"))


def hermes_template() -> str:
    """The shipped template, for models whose own knows no tools."""
    return files("auto_lora").joinpath("templates/hermes.jinja").read_text(encoding="utf-8")


def _with_objects(message: Message) -> Message:
    """Arguments as objects: what templates expect, and what llama.cpp hands to them."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    opened = [
        {**c, "function": {**c["function"], "arguments": json.loads(c["function"]["arguments"])}}
        if isinstance(c["function"]["arguments"], str)
        else c
        for c in calls
    ]
    return {**message, "tool_calls": opened}


class ToolCallingDataset:
    """Tokenised conversations with loss masks, and their shared-prefix groups.

    A conversation becomes one sequence when its turns tokenise the same one after the other as
    they do apart, else one sequence per assistant turn. What is longer than `max_seq_length`
    is dropped whole and counted in `dropped`: a call is never cut.

    Args:
        conversations: what to encode.
        template: the chat template with its tokenizer.
        max_seq_length: tokens a sequence may have.
        activated: the adapter acts from the user's first message on, so groups share what is before it, and what
            never activates it is dropped.

    Raises:
        DataError: nothing is left after dropping.
    """

    def __init__(
        self,
        conversations: Iterable[Conversation],
        template: ChatTemplate,
        max_seq_length: int = 8192,
        *,
        activated: bool = False,
    ) -> None:
        self.template = template
        self.invocation = template.invocation if activated else ()
        self.dropped: Counter[str] = Counter()
        self.examples: list[Example] = []
        heads: dict[str, tuple[int, ...]] = {}
        for conversation in conversations:
            for example in encode_conversation(conversation, template):
                if len(example) > max_seq_length:
                    self.dropped["longer than max_seq_length"] += 1
                elif activated and begins_at(example.ids, self.invocation) is None:
                    self.dropped["without tools, where an activated adapter does not act"] += 1
                else:
                    ids = example.ids
                    head = heads.get(example.key, ids)[: example.first_target - 1]
                    heads[example.key] = head = _common(head, ids)
                    self.examples.append(example.split_at(head))
        if not self.examples:
            raise DataError(
                f"no conversation fits into {max_seq_length} tokens ({sum(self.dropped.values())} dropped)",
                "raise --max-seq-length or give fewer tools",
            )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        """`input_ids`, `attention_mask` and `labels`, as other trainers take them."""
        example = self.examples[index]
        labels = [i if t else IGNORED for i, t in zip(example.ids, example.target, strict=True)]
        return {"input_ids": list(example.ids), "attention_mask": [1] * len(labels), "labels": labels}

    @cached_property
    def groups(self) -> list[PrefixGroup]:
        """Examples with the same tools, each group with its longest common prefix."""
        return group_by_prefix(self.examples, self.invocation)

    def decode_labels(self, index: int) -> str:
        """The text that carries loss in one example."""
        example = self.examples[index]
        ids = [i for i, t in zip(example.ids, example.target, strict=True) if t]
        return self.template.tokenizer.decode(ids, skip_special_tokens=False)


def encode_conversation(conversation: Conversation, template: ChatTemplate) -> list[Example]:
    """One example for the whole conversation if its turns join without a seam, else one a turn.

    Where `meta["cut"]` says that the last answer was cut, its end of turn is not learnt.
    """
    tools = conversation.tools
    first = conversation.messages[0]
    system = first["content"] if first["role"] == "system" else ""
    key = hashlib.sha256(json.dumps([tools, system]).encode()).hexdigest()
    turns = [template.encode_turn(t.history, t.answer, tools) for t in conversation.turns()]
    if conversation.meta.get("cut"):
        turns[-1] = turns[-1][0], turns[-1][1][:-1]
    ids: list[int] = []
    target: list[bool] = []
    for prompt, reply in turns:
        if prompt[: len(ids)] != ids:
            break
        target += [False] * (len(prompt) - len(ids)) + [True] * len(reply)
        ids = prompt + reply
    else:
        return [Example.of(ids, target, conversation.id, key)]
    return [Example.of(p + r, [False] * len(p) + [True] * len(r), conversation.id, key) for p, r in turns]


def last_run_of(run: Sequence[int], tokens: Sequence[int]) -> int | None:
    """Where a run of tokens begins in a sequence, its last occurrence as llama.cpp finds it.

    Source: llama.cpp tools/server, `launch_slot_with_task`: backwards, a token that does not fit begins the search anew.
    """
    left = len(run)
    for at in range(len(tokens) - 1, -1, -1):
        left = left - 1 if tokens[at] == run[left - 1] else len(run)
        if not left:
            return at
    return None


def begins_at(tokens: Sequence[int], invocation: Sequence[int]) -> int | None:
    """The first token that an activated adapter acts on; None: it acts on none.

    As llama.cpp has it, that is one before its invocation (in PEFT: the first of it).
    """
    start = last_run_of(invocation, tokens)
    return max(0, start - 1) if start is not None else None


def group_by_prefix(examples: Sequence[Example], invocation: Sequence[int] = ()) -> list[PrefixGroup]:
    """Groups examples of one key and finds their common prefix.

    The prefix ends at least one token before the first target of each example, so that every
    target is predicted from a token outside it, and where an adapter with an `invocation` begins to act.
    """
    by_key: dict[str, list[Example]] = {}
    for example in examples:
        by_key.setdefault(example.key, []).append(example)
    groups = []
    for members in by_key.values():
        limit = min(m.first_target for m in members) - 1
        # Sorted sequences: what the smallest and the largest share, all share.
        prefix = _common(min(m.ids for m in members)[:limit], max(m.ids for m in members))
        if invocation:
            prefix = prefix[: begins_at(prefix, invocation)]
        groups.append(PrefixGroup(prefix, tuple(m.split_at(prefix) for m in members)))
    return sorted(groups, key=lambda g: -len(g.prefix))


def _common(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """What both begin with; `a` itself where that is all of it."""
    if b[: len(a)] == a:
        return a
    return a[: next(n for n, (x, y) in enumerate(zip(a, (*b, None), strict=False)) if x != y)]
