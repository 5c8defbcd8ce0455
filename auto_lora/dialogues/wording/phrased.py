"""One argument as it is said, with what stands beside it: "in the kitchen", "the best thai bar", "under $50"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import in_form, phrases, tails_of, words_of
from auto_lora.dialogues.definitions.roles import kinds_named, roles_of
from auto_lora.dialogues.values.naming import (
    ENDS_IN_PREPOSITION,
    SPOKEN_SPANS,
    is_number,
    said_name,
    spoken_name,
)
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.kinds import adjective, is_kind
from auto_lora.dialogues.wording.limits import bound_of, reach_of, within
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.timely import part_of_day, timely
from auto_lora.dialogues.wording.told_forms import forms_by_definition, is_repeated, is_target
from auto_lora.dialogues.wording.unnamed import sorting, unnamed

# What stands beside an argument when both are given: role to (before, after with its form).
BESIDE: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "place": ((), (("region", ", {v}"), ("country", ", {v}"))),
    "region": ((), (("country", ", {v}"),)),
    "poi": (("spatial",), (("place", " in {v}"),)),
    "playlist": (("owner",), ()),
    "list": (("owner",), ()),
    "kind": (("position", "sort", "mood", "genre", "cuisine", "year", "color", "size"), ()),
    "kind_place": (("sort", "cuisine"), ()),
    "song": (("kind",), ()), "title": (("kind",), ()), "album": (("kind",), ()), "book": (("kind",), ()), "movie": (("kind",), ()),
    "rating": ((), (("rating_unit", " {v}"), ("rating_max", " out of {v}"))),
    "amount": ((), (("currency", " {v}"), ("currency_from", " {v}"))),
    "number": ((), (("unit_from", " {v}"), ("unit", " {v}"))),
    "date": ((), (("daypart", " {v}"), ("time", " at {v}"))),
    "dish": ((), (("org", " from {v}"),)),
}  # fmt: skip
_PICKS = frozenset("current next last first previous second following latest".split())
_TIMELY_PREPOSITIONS = frozenset("since until before after".split())
# Two of these in one sentence would both be "called X", or "saying X".
_CALLED = frozenset("title label event song thing_name subject message note text".split())
_OWN_CLAUSE = re.compile(r"(?:it|make|don't|that) ")
_SPAN = re.compile(r"([\d.]+) (second|minute|hour|day|week|month|year)s?")


_OUTSIDE = frozenset("patio porch balcony terrace veranda deck landing".split())
_ASKING = frozenset("where when who whom what which how".split())


class Phrased:
    """The arguments of a call that are still to be said in `left`, and the words of each.

    Args:
        rng: decides between forms.
        frame: the sentence that they are said in.
    """

    def __init__(self, rng: random.Random, call: PlannedCall, frame: Frame) -> None:
        self.random, self.call, self.frame = rng, call, frame
        self.roles = dict(roles_of(call.tool))
        # "Play the song" would be one of its arguments.
        self.kinds = [k.lower() for k in kinds_named(call.tool)[1]]
        self.act_finds = tool_act(call.tool)[0] in ("find", "get")
        self.left = {n: v for n, v in call.shown().items() if v.surface}

    def _with_neighbours(self, name: str, value: Value) -> str:
        """An argument's words, with those that stand right beside it."""
        before, after = BESIDE.get(self.roles[name], ((), ()))
        text = value.surface
        for role in reversed(before):  # the outermost last: "the best thai bar"
            found = next(
                (n for n in self.left if self.roles[n] == role and role not in self.frame.named), None
            )
            if role == "spatial":
                continue  # a phrase's: "near the park", but "check the park"
            if found and role == "kind" and self.roles[name] != "kind":
                forms = ["the {k} {v}", "the {k} {v}", "{k} {v}", "the {v} {k}", "{v} {k}"]
                text = self.random.choice(forms).format(k=self.left.pop(found).surface, v=text)
            elif (
                found
                and role == "sort"
                and self.left[found].surface.lower() not in phrases("inventories")["sort"]
            ):
                continue  # "by price" is no quality
            elif found and (role in ("owner", "sort") or self.random.random() < 0.85):
                text = f"{self._determined(role, self.left.pop(found).surface)} {text}"
        if self.roles[name] == "rating" and self.random.random() < 0.4:
            after = after[::-1]  # "4 out of 5 stars", "4 stars out of 5"
        for role, form in after:
            found = next(
                (n for n in self.left if self.roles[n] == role and role not in self.frame.named and self._goes_with(n, name)), None
            )  # fmt: skip
            if found and re.search(r"(?:cents|pence|\dp)$", text):
                continue  # "53000 cents usd"
            if found and self.random.random() < 0.85:
                words = self.left.pop(found).surface
                text += form.format(v=part_of_day(words) if role == "daypart" else words)
        return text

    def _determined(self, role: str, words: str) -> str:
        """ "The current" for an argument that picks one: "rate the current album"."""
        bare = role == "position" and words.lower() in _PICKS and self.random.random() < 0.7
        return f"the {words}" if bare else words

    def _dates(self) -> list[str]:
        return [n for n in self.call.values if self.roles.get(n) in ("date", "start", "end", "when")]

    def _goes_with(self, name: str, head: str) -> bool:
        """Whether a time stands beside the date it belongs to: of two dates the one that it shares a word with."""
        if self.roles[name] not in ("time", "daypart") or len(self._dates()) < 2:
            return True
        return bool(set(words_of(name)) & set(words_of(head)) - {"date", "time"})

    def _phrase(self, name: str, value: Value) -> str:
        """An argument with its preposition: "in the kitchen", "at 7 pm", "tomorrow", "priority high"."""
        role = self.roles[name] if value.role != "system" else value.role
        if role == "boolean":  # "a ticket about the printer, make it urgent"
            return f", {value.surface}" if _OWN_CLAUSE.match(value.surface) else value.surface
        if forms := unnamed(name, value, self.call.tool.properties.get(name)):
            return self.random.choice(forms)
        if role == "sort" and (way := sorting(value, self.left, self.roles)):
            return way
        if is_target(self.call.tool, name, role):
            return f"to {value.surface}"
        spoken = spoken_name(name, number=is_number(value.json))
        if spoken[0] in _TIMELY_PREPOSITIONS and role in ("date", "time", "when", "start", "end", "generic"):
            return f"{spoken[0]} {value.surface}"
        if reach := reach_of(self.call, name, value):
            return f"within {self.random.choice(['', '', 'a radius of '])}{reach}"
        if bound := bound_of(self.call, self.roles, name):
            return within(self.random, self.roles, name, value, bound.split(", "))
        if len(spoken) > 1 and spoken[-1] in ("before", "after") and is_number(value.json):
            return f"{value.surface} {spoken[-1]}"  # "ten minutes before"
        if (
            len(spoken) > 1
            and spoken[0] in ("from", "to", "by")
            and role not in ("origin", "destination", "start", "end", "date", "time")
            and not role.startswith(("unit", "currency"))
        ):
            return f"{' '.join(spoken)} {value.surface}"  # "from account 17", not "with the from account 17"
        if role == "time" and len(spoken) > 1 and spoken[-1] == "time" and len(self._dates()) > 1:
            forms = ["{n} at {v}", "with the {n} at {v}"]  # "pickup at 11:40", beside two dates
            return self.random.choice(forms).format(n=" ".join(spoken[:-1]), v=value.surface)
        if len(spoken) > 1 and spoken[-1] in ("at", "on") and role in ("time", "when", "date"):
            return f"{'on' if value.role == 'date' else 'at'} {value.surface}"
        if role == "sort" and spoken[-1] in ("by", "order") and self.random.random() < 0.7:
            return f"sorted by {value.surface}"
        if spoken[0] in ("near", "nearby") and role in ("poi", "place", "generic", "address"):
            return f"{self.random.choice(['near', 'near', 'close to', 'not far from'])} {value.surface}"
        kept = 1.0 if spoken[-1] in _TIMELY_PREPOSITIONS else 0.7  # "on friday" is not effective_after
        asking = spoken[0] in (
            *_ASKING,
            "check",
        )  # "in Memphis", not "where to Memphis"; "checking in on friday"
        if (
            spoken[-1] in ENDS_IN_PREPOSITION
            and len(spoken) > 1
            and not asking
            and self.random.random() < kept
        ):
            return f"{' '.join(spoken)} {value.surface}"  # "directed by Ann Lee"
        spatial = next(
            (n for n, v in self.left.items() if self.roles[n] == "spatial" and in_form(v.surface, "spatial")),
            None,
        )
        sights = ("place", "poi")
        near = role in sights or (
            role in ("region", "country", "here") and not any(self.roles[n] in sights for n in self.left)
        )
        if near and spatial:
            return f"{self.left.pop(spatial).surface} {self._with_neighbours(name, value)}"
        kinds = [n for n in self.left if self.roles[n] == "kind"]
        text = self._with_neighbours(name, value)
        if any(n not in self.left for n in kinds):  # "the song Waterloo", not "called the song Waterloo"
            return text
        repeated = is_repeated(name, self.call.tool.properties.get(name))
        span = _SPAN.fullmatch(text) if value.role == "duration" and not repeated else None
        if (
            span
            and span[1] == str(value.json)
            and spoken[-1] not in SPOKEN_SPANS
            and self.random.random() < 0.25
        ):
            return (
                f"with a {span[1]}-{span[2]} {' '.join(said_name(name, value))}"  # "with a 0.5-second window"
            )
        said = timely(self.random, role, text)
        return self._formed(name, value, text, spoken) if said is None else said

    def _formed(self, name: str, value: Value, text: str, spoken: list[str]) -> str:
        """An argument in one of the forms of its role, or of those that its definition asks for.

        Args:
            text: its words with those that stand beside it; `spoken`: its name as it is said.
        """
        role = self.roles[name] if value.role != "system" else value.role
        twice = sum(r == role or {r, role} <= _CALLED for r in self.roles.values()) > 1
        plain = value.role in ("generic", "number") or (
            is_number(value.json) and not re.search(r"[^\d.]", text) and role not in ("year", "month")
        )
        forms = (
            tails_of("generic")
            if (twice or plain) and role not in ("rating", "temperature")
            else tails_of(role)
        )
        schema = self.call.tool.properties.get(name)
        if self._is_word(name, value):
            forms = [*forms, "{v}", "{v}", "{v}", "{v} {name}", "the {v} {name}"]
        elif (
            value.role == role == "generic"
            and isinstance(schema, dict)
            and "enum" in schema
            and len(spoken) == 1
        ):
            forms = [
                *forms,
                "for the {v} {name}",
                "for the {v} {name}",
                "the {v} {name}",
            ]  # "for the garage door"
        if self.act_finds and is_kind(name, role, schema, ""):
            text = adjective(value) or text  # "in the genre comedy"
            forms = [f for f in forms if f not in ("{v}", "as {v}", "{v} {name}", "the {v} {name}")]
        if role == "identifier" and not value.surface.isdigit():
            forms = [f for f in forms if not f.startswith("number")]  # "the channel id C024BE91L"
        if role == "list" and self.frame.means and not {*self.frame.means.values()} & {"add", "create"}:
            forms = ["on my {v} list", "from my {v} list"]  # what is removed
        if role == "spatial" and in_form(text, "spatial_alone"):
            forms = ["{v}"]  # "nearby", but "near here"
        creates = tool_act(self.call.tool)[0] == "create"
        if role == "device" and text.lower().removeprefix("the ") in phrases("inventories")["room"]:
            forms = ["on the {v}" if text.lower().split()[-1] in _OUTSIDE else "in the {v}"]
        if role == "kind_place" and tool_act(self.call.tool)[0] in ("find", "get", "book"):
            forms = ["at a {v}"]  # food comes "from a diner"
        if role == "poi" and "spatial" in self.roles.values():
            forms = [f for f in forms if not f.startswith(("near", "by", "around", "close"))] or ["at {v}"]
        if role == "file" and creates:
            forms = ["to {v}", "as {v}", "at {v}"]  # not "from {v}"
        if role == "folder" and re.search(r"director|folder", self.call.tool.name):
            forms = ["at {v}", "called {v}"] if creates else ["in {v}", "at {v}"]
        if role == "temperature" and tool_act(self.call.tool)[0] in ("set", "act"):
            forms = ["to {v}"]  # "raise the heating to 21 degrees"
        if re.match(r"(?:by|on) \w+$", text) and isinstance(schema, dict) and "enum" in schema:
            return text  # "by car", not "in by car mode"
        if text.lower() in ("all", "any"):
            forms = [f for f in forms if "that are" not in f]
        if value.role == "chore":
            forms = ["to {v}"]  # "a reminder to water the plants"
        forms = [f for f in forms if not set(self.kinds) & set(f.split())] or ["{v}"]
        counted = self._is_counted(name, value)
        forms = (
            forms_by_definition(self.call, self.roles, name, value, text, twice=twice, counted=counted)
            or forms
        )
        made = self.random.choice(forms).format(v=text, name=" ".join(spoken))
        last = re.escape(text.rpartition(" ")[2])
        return (
            re.sub(rf"\b({last}) \1$", r"\1", made) if last.isalpha() else made
        )  # "premium economy class", not "class class"

    def _is_counted(self, name: str, value: Value) -> bool:
        """Whether a number says what it counts, as no other of the call's does: "6 beds"."""
        if value.role != "count" or " " not in value.surface:
            return False
        others = [v for n, v in self.call.values.items() if n != name and v.role == "count"]
        unit = value.surface.split()[-1].rstrip("s")
        return not any(v.surface.endswith((unit, f"{unit}s")) for v in others)

    def _is_word(self, name: str, value: Value) -> bool:
        """Whether an argument is one of an enum's words, which says itself what it is: vip, overnight."""
        schema = self.call.tool.properties.get(name)
        plain = self.roles[name] in ("generic", "type", "category") and value.role == self.roles[name]
        if not (isinstance(schema, Mapping) and "enum" in schema and isinstance(value.json, str) and plain):
            return False
        others = [s for n, s in self.call.tool.properties.items() if n != name and isinstance(s, Mapping)]
        shared = any(v in s.get("enum", ()) for s in others for v in schema["enum"])  # of which plan?
        return not shared and re.fullmatch(r"[a-z][a-z -]{3,}", value.surface, re.I) is not None
