"""Texts that are about one matter: a ticket's description about its title, an e-mail's body about its subject."""

from __future__ import annotations

import random
import re
from collections.abc import Container, Mapping
from dataclasses import replace

from jsonschema import Draft202012Validator

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.meaning import asks
from auto_lora.dialogues.definitions.phrasebook import phrases, split_of, words_of
from auto_lora.dialogues.values.pool_for import ADMITTED
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.values.surfaces import Value

_TITLES = frozenset("title summary subject headline".split())
_BODIES = frozenset("description details body detail message content text".split())
_MAIL = re.compile(r"\be-?mails?\b", re.I)
_TICKET = re.compile(r"\b(?:tickets?|incidents?|issues?|bugs?)\b", re.I)
_REPOSITORY = re.compile(r"\b(?:repositor(?:y|ies)|github|gitlab|bitbucket|source code)\b", re.I)
_OPEN = frozenset(("type", "description", "title", "minLength", "maxLength", "default"))


def kind_of_text(tool: ToolDefinition) -> str:
    """What a tool's title and text are of: "tickets", "issues" (of a repository), "emails"; "" of any other."""
    if asks(tool):
        return ""
    things = " ".join(objects_of(tool.name, tool.description))
    if _MAIL.search(things):
        return "emails"
    told = f"{' '.join(words_of(tool.name))} {tool.description}"
    if not _TICKET.search(things) or ADMITTED.search(told):
        return ""
    return "issues" if _REPOSITORY.search(told) else "tickets"


def texts_of(tool: ToolDefinition) -> tuple[str, str]:
    """Names of a tool's title and of its text; "" where it has none that may hold any words."""
    free = [
        n
        for n, s in tool.properties.items()
        if isinstance(s, Mapping) and s.get("type") == "string" and s.keys() <= _OPEN and "html" not in n.lower()
    ]  # fmt: skip
    title, body = (next((n for n in free if words_of(n)[-1] in names), "") for names in (_TITLES, _BODIES))
    return title, body


def texts_of_one_matter(tool: ToolDefinition) -> tuple[str, ...]:
    """Names of the title and the text of a tool that are about one matter; none of a tool with one of them alone."""
    names = texts_of(tool) if kind_of_text(tool) else ()
    return names if all(names) else ()


def of_one_matter(
    rng: random.Random,
    pools: Pools,
    split: str,
    values: Mapping[str, Value],
    tool: ToolDefinition,
    fixed: Container[str] = (),
) -> dict[str, Value]:
    """Values of which title and text are about one matter; an e-mail's text, or an issue's of a repository, is one where it is alone as well.

    Args:
        fixed: names of values that stay as they are.
    """
    kind, (title, body) = kind_of_text(tool), texts_of(tool)
    alone = kind in ("emails", "issues") and title not in values
    made = dict(values)
    if not kind or body not in values or not (alone or title in values) or title in fixed or body in fixed:
        return made
    long = rng.random() < 0.5
    if kind == "emails" and alone and not long:
        return made
    for _ in range(30):
        head, text = _mail(rng, pools, long) if kind == "emails" else _report(rng, pools, kind)
        if split_of("value", (text if alone else head).casefold()) == split:
            break
    texts = {body: text} if alone else {title: head, body: text}
    if not all(Draft202012Validator(tool.properties[n]).is_valid(v) for n, v in texts.items()):
        return made
    for name, words in texts.items():
        # Nobody could tell where several sentences end, or a clause among others.
        apart = values[name].role not in ("message", "text", "note") or re.search(r"[.,:] | and ", words)
        quoted = name == body and (bool(apart) or rng.random() < 0.3)
        made[name] = replace(values[name], json=words, surface=f'"{words}"' if quoted else words)
    return made


def _report(rng: random.Random, pools: Pools, kind: str) -> tuple[str, str]:
    """A ticket's title and what it describes."""
    book, known = phrases("work_texts"), dict[str, str]()
    title, text = (_filled(rng, pools, form, known) for form in rng.choice(book[kind]))
    return title, text[0].upper() + text[1:]


def _mail(rng: random.Random, pools: Pools, long: bool) -> tuple[str, str]:
    """An e-mail's subject and its body: a sentence, or where it is long two to four with a greeting and an end in some."""
    book, known = phrases("work_texts"), dict[str, str]()
    subject, first, rest = rng.choice(book["emails"])
    if not long:
        body = first
    else:
        greeting, end = rng.random() < 0.6, rng.random() < 0.6
        first = first if greeting else first[0].upper() + first[1:]
        told = rest[: rng.randint(1, len(rest))]
        body = " ".join(
            [*[rng.choice(book["greetings"])] * greeting, f"{first}.", *told, *[rng.choice(book["ends"])] * end]
        )  # fmt: skip
    subject, body = (_filled(rng, pools, form, known) for form in (subject, body))
    body = re.sub(r"(?<=[.] )[a-z]", lambda m: m[0].upper(), body)
    return subject[0].upper() + subject[1:], body.removesuffix(".")


def _filled(rng: random.Random, pools: Pools, form: str, known: dict[str, str]) -> str:
    """A form with words in its slots, the same ones in all forms of one matter."""

    def words(slot: re.Match[str]) -> str:
        name = slot[1]
        if name not in known:
            slots = phrases("work_texts")["slots"]
            people = name in ("colleague", "sender", "greeted")
            known[name] = rng.choice(slots[name]) if name in slots else pools.make("first_name" if people else name)  # fmt: skip
        return known[name]

    return re.sub(r"\{(\w+)\}", words, form)
