"""Lines that a user wrote as conversations, checked against the tools.

A line is one of

    {"messages": [...]}                      OpenAI messages; the last assistant turn is the expected answer
    {"messages": [...], "expected": [{"name", "arguments": {parameter: value or [accepted values]}, "optional": []}]}

or, among prompts, plain text, `{"prompt": ...}` or `{"prompt": ..., "expected": ...}`. An empty `expected` means that no
call is due. A list is a list of accepted values where each of them fits the parameter, else the value itself. In a test
file a wrong line is an error; among prompts it is dropped and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora._conversation import Conversation, Message
from auto_lora._errors import UsageError
from auto_lora._runs import loads
from auto_lora._settings import CATEGORIES
from auto_lora._toolcall import AcceptedCall, ToolCall, parse_arguments
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import phrases

_ROLES = ("system", "user", "assistant", "tool")


class Reader:
    """Reads lines as conversations with a list of tools.

    Args:
        tools: the tools that calls are checked against.
        system_prompt: put before conversations that have none.
    """

    def __init__(self, tools: Sequence[ToolDefinition], system_prompt: str = "") -> None:
        self.tools = {t.name: t for t in tools}
        self.entries = tuple(t.to_openai() for t in tools)
        self.system = [{"role": "system", "content": system_prompt}] if system_prompt else []

    def cases(self, path: str | Path) -> list[Conversation]:
        """The conversations of a test file.

        Raises:
            UsageError: the file cannot be read or holds no case, or a line is none; names the line.
        """
        found = []
        for number, text in lines_of(path):
            try:
                found.append(self.conversation(parse_line(text), f"test-{number:06d}", str(path)))
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: {error}", self._help()) from None
        if not found:
            raise UsageError(
                f"{path} holds no cases", 'write lines such as {"messages": [...], "expected": []}'
            )
        return found

    def prompts(self, path: str | Path) -> tuple[list[Conversation], list[str], Counter[str]]:
        """A file of prompts: those whose calls fit the tools, the words of all, and why others were dropped.

        A logged answer in words is no label: only calls, or an empty `expected`, are.

        Raises:
            UsageError: the file cannot be read or holds no prompt, or a line is none; names the line.
        """
        found, texts, dropped = [], [], Counter[str]()
        for number, text in lines_of(path):
            try:
                row = _with_messages(parse_line(text) if text[0] in "{[" else {"prompt": text})
                messages = self._messages([{**m, "tool_calls": None} for m in row["messages"]])
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: {error}", "mend or remove that line") from None
            texts += [m["content"] for m in messages if m["role"] == "user"]
            if "expected" not in row and not any(m.get("tool_calls") for m in row["messages"]):
                continue
            try:
                found.append(self.conversation(row, f"seed-{number:06d}", str(path)))
            except ValueError as error:
                dropped[f"seed prompt: {error}"] += 1
        if not texts:
            raise UsageError(f"{path} holds no prompts", "write one a line, as plain text or as JSON")
        return found, texts, dropped

    def _help(self) -> str:
        return f"mend that line; the tools are {', '.join(self.tools)}"

    def conversation(self, row: Any, name: str, writer: str) -> Conversation:
        """A parsed line as a conversation; raises ValueError saying what is wrong with it."""
        if not isinstance(row, Mapping) or not isinstance(row.get("messages"), list):
            raise ValueError("it has no list of messages")
        messages = self._messages(row["messages"])
        meta: dict[str, Any] = {"writer": writer}
        if "expected" in row:
            if messages[-1]["role"] not in ("user", "tool"):
                raise ValueError("`expected` answers a user or tool message, which must be the last one")
            rules = self._rules(row["expected"])
            messages.append(self._answer([AcceptedCall.of(r) for r in rules]))
            meta["accepted"] = rules
        elif messages[-1]["role"] != "assistant":
            raise ValueError("it has neither an assistant turn at its end nor `expected` calls")
        if messages[0]["role"] != "system":
            messages = [*self.system, *messages]
        made = Conversation(name, str(row.get("category")), tuple(messages), self.entries, meta)
        return made if made.category in CATEGORIES else replace(made, category=_category(made))

    def _messages(self, given: Sequence[Any]) -> list[Message]:
        """The messages as this program writes them: plain text, arguments as JSON text in schema order."""
        made: list[Message] = []
        called: dict[str, str] = {}
        for message in given:
            if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
                raise ValueError(f"a message has no role of {', '.join(_ROLES)}")
            role, text = message["role"], _text(message.get("content"))
            calls = message.get("tool_calls") or []
            if role == "assistant" and calls:
                turn = self._answer([self._call(c) for c in calls], [_id(c) for c in calls])
                called |= {c["id"]: c["function"]["name"] for c in turn["tool_calls"]}
                made.append({**turn, "content": text})
            elif role == "tool":
                identity = str(message.get("tool_call_id", ""))
                name = message.get("name") or called.get(identity) or next(reversed(called.values()), "")
                made.append({"role": role, "tool_call_id": identity, "name": name, "content": text})
            else:
                made.append({"role": role, "content": text})
        if not any(m["role"] == "user" and m["content"].strip() for m in made):
            raise ValueError("no user says anything in it")
        return made

    def _answer(self, calls: Sequence[ToolCall], ids: Sequence[str] = ()) -> Message:
        if not calls:
            return {"role": "assistant", "content": str(phrases("no_call")["uncovered"])}
        ids = [i or f"call{n:05d}" for n, i in enumerate(ids or [""] * len(calls))]
        made = [
            ToolCall(c.name, self.tools[c.name].order_arguments(c.arguments)).to_message(i)
            for c, i in zip(calls, ids, strict=True)
        ]
        return {"role": "assistant", "content": "", "tool_calls": made}

    def _call(self, entry: Any) -> ToolCall:
        function = entry.get("function", entry) if isinstance(entry, Mapping) else {}
        if not isinstance(function, Mapping):
            raise ValueError("the `function` of a call is no object")
        arguments = parse_arguments(function.get("arguments", {}))
        if arguments is None:
            raise ValueError(f"the arguments of {function.get('name')} are no JSON object")
        return self._checked(function.get("name"), arguments)

    def _rules(self, expected: Any) -> list[dict[str, Any]]:
        """Expected calls with lists of accepted values; each value is checked."""
        if not isinstance(expected, list) or not all(isinstance(e, Mapping) for e in expected):
            raise ValueError("`expected` is not a list of calls")
        rules = []
        for entry in expected:
            tool = self._tool(entry.get("name"))
            given, optional = entry.get("arguments", {}), entry.get("optional", [])
            if not isinstance(given, Mapping) or not isinstance(optional, list):
                raise ValueError(f"the arguments of {tool.name} are no object, or `optional` is no list")
            accepted = {k: _accepted(tool, k, v) for k, v in tool.order_arguments(given).items()}
            first = {k: v[0] for k, v in accepted.items()}
            for name, value in [(k, v) for k, values in accepted.items() for v in values] or [("", None)]:
                self._checked(tool.name, {**first, name: value} if name else {})
            unknown = [n for n in optional if not isinstance(n, str) or n not in tool.properties]
            if unknown:
                raise ValueError(f"`optional` names {unknown[0]!r}, which {tool.name} has not")
            rules.append({"name": tool.name, "arguments": accepted, "optional": optional})
        return rules

    def _checked(self, name: Any, arguments: dict[str, Any]) -> ToolCall:
        tool = self._tool(name)
        unknown = [k for k in arguments if k not in tool.properties]
        if unknown and not tool.parameters.get("additionalProperties"):
            raise ValueError(f"{tool.name} has no parameter {unknown[0]!r}")
        error = next(Draft202012Validator(tool.parameters).iter_errors(arguments), None)
        if error is not None:
            raise ValueError(f"the arguments of {tool.name} do not fit its schema: {error.message}")
        return ToolCall(tool.name, arguments)

    def _tool(self, name: Any) -> ToolDefinition:
        if not isinstance(name, str) or name not in self.tools:
            raise ValueError(f"a call to the unknown tool {name!r}")
        return self.tools[name]


def lines_of(path: str | Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file that are not empty; raises UsageError when it cannot be read."""
    try:
        with open(path, encoding="utf-8-sig") as file:  # with or without the mark that Windows puts first
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = "does not exist" if not Path(path).exists() else f"cannot be read ({error})"
        raise UsageError(f"{path} {reason}", "give a text file of one case a line") from None


def parse_line(text: str) -> Any:
    """A line's JSON value; ValueError says where it is none."""
    try:
        return loads(text)
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None


def _with_messages(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of prompts with `messages`, whichever way it was written."""
    if not isinstance(row, Mapping):
        raise ValueError("it is no object")
    if "messages" not in row and isinstance(row.get("prompt"), str):
        return {**row, "messages": [{"role": "user", "content": row["prompt"]}]}
    messages = row.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, Mapping) for m in messages):
        raise ValueError("it has neither a prompt nor a list of messages")
    return row


def _accepted(tool: ToolDefinition, name: str, value: Any) -> list[Any]:
    """The right values of a parameter: those of a list that are all such values, else the value itself."""
    if not isinstance(value, list) or not value:
        return [value]
    about = {k: v for k, v in tool.parameters.items() if k in ("properties", "$defs", "definitions")}
    alone = Draft202012Validator(about)  # not what ties several parameters together
    return value if all(alone.is_valid({name: v}) for v in value) else [value]


def _category(conversation: Conversation) -> str:
    calls = [t.expected for t in conversation.scored_turns() if t.expected]
    if not calls:
        return "no_call"
    return "chain" if len(calls) > 1 else "parallel" if len(calls[0]) > 1 else "single"


def _id(call: Any) -> str:
    return str(call.get("id") or "") if isinstance(call, Mapping) else ""


def _text(content: Any) -> str:
    """A message's content as text; OpenAI allows parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(isinstance(p, Mapping) and p.get("type") == "text" for p in content):
        return "".join(str(p.get("text", "")) for p in content)
    raise ValueError("a message's content is no text")
