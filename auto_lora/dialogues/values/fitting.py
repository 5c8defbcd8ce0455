"""Values that go together in the world: the years of an event, a team of the league, a city of the state, the sides of a triangle."""

from __future__ import annotations

import random
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from faker.providers.address.en_US import Provider as Address
from jsonschema import Draft202012Validator

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import phrases, split_of, words_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.values.surfaces import Value

_NAMES = dict(zip([a for a in Address.states_abbr if a != "DC"], Address.states, strict=True))
_BEGINS = frozenset("start from first begin since after".split())
_ENDS = frozenset("end to last until before".split())
# A film about a war is of another year.
_OF_WORKS = re.compile(r"\b(?:movie|film|book|novel|document|song|paper|article)", re.I)


def fitting(
    rng: random.Random, split: str, values: Mapping[str, Value], tool: ToolDefinition, kept: Container[str]
) -> dict[str, Value]:
    """Values of which some are drawn again, where they cannot be true of one thing.

    Args:
        split: whose cities are drawn first.
        kept: names of values that stay as they are.
    """
    found = dict(values)
    told = ((n, v) for part in (_years, _league, _state, _sides) for n, v in part(rng, split, found, tool))
    for name, drawn in told:
        value = found[name]
        schema = resolve(tool.properties[name], tool.parameters)
        drawn = str(drawn) if isinstance(value.json, str) else drawn
        if name not in kept and Draft202012Validator(schema).is_valid(drawn):
            said, number = value.surface, re.compile(rf"(?<![\d.,]){re.escape(str(value.json))}(?![\d.,])")
            measured = not isinstance(drawn, str) and number.search(said)  # "36 meters"
            found[name] = replace(
                value, json=drawn, surface=number.sub(str(drawn), said) if measured else str(drawn)
            )
    return found


Drawn = list[tuple[str, Any]]


def _years(rng: random.Random, split: str, values: Mapping[str, Value], tool: ToolDefinition) -> Drawn:
    """Years within ten of a historical event."""
    known: dict[str, list[int]] = {k.lower(): y for k, y in phrases("pairs")["years_of_events"].items()}
    events = {e.lower() for e in phrases("inventories")["historical_event"]}
    years = [n for n, v in values.items() if v.role == "year" and str(v.json).isdigit()]
    event = next((n for n, v in values.items() if str(v.json).lower() in events), "")
    if not years or not event or _OF_WORKS.search(f"{tool.name} {tool.description}".replace("_", " ")):
        return []
    drawn: Drawn = []
    named = str(values[event].json).lower()
    if named not in known:  # of a time before our years
        named = rng.choice(sorted(known))
        drawn.append((event, next(e for e in phrases("pairs")["years_of_events"] if e.lower() == named)))
    first, last = known[named]
    for name in years:
        words, year = set(words_of(name)), int(values[name].json)
        if words & _BEGINS:
            low, high = first - 10, first
        elif words & _ENDS:
            low, high = last, last + 10
        else:
            low, high = first, last
        if not low <= year <= high:
            drawn.append((name, rng.randint(low, high)))
    return drawn


def _league(rng: random.Random, split: str, values: Mapping[str, Value], tool: ToolDefinition) -> Drawn:
    """A team of the league."""
    roles, leagues = roles_of(tool), phrases("pairs")["teams_of_leagues"]
    team, league = (_only([n for n in values if roles[n] == r]) for r in ("team", "league"))
    if not team or not league:
        return []
    plays = {k.lower(): teams for k, teams in leagues.items()}
    teams = plays.get(str(values[league].json).lower())
    if teams is None:  # no team plays in the Tour de France
        name = rng.choice(sorted(leagues))
        return [(league, name), (team, rng.choice(leagues[name]))]
    mine = str(values[team].json).lower() in map(str.lower, teams)
    return [] if mine else [(team, rng.choice(teams))]


def _state(rng: random.Random, split: str, values: Mapping[str, Value], tool: ToolDefinition) -> Drawn:
    """A state of the US where a ZIP code is asked for, and a city of it."""
    roles = roles_of(tool)
    if any(roles[n] == "country" for n in tool.properties):
        return []
    state = _only([n for n in values if roles[n] == "region" and words_of(n)[-1:] == ["state"]])
    city = _only([n for n in values if roles[n] == "place" and words_of(n)[-1:] in (["city"], ["town"])])
    if not state:
        return []
    drawn: Drawn = []
    codes = {name.lower(): code for code, name in _NAMES.items()} | {c.lower(): c for c in _NAMES}
    code = codes.get(str(values[state].json).lower())
    if code is None:
        if not any("zip" in words_of(n) for n in tool.properties):
            return []
        code = rng.choice(sorted(_NAMES))
        drawn.append((state, _NAMES[code]))
    if not city:
        return drawn
    pairs = [p.split(", ") for p in phrases("inventories")["city_and_state"] if not p.endswith("DC")]
    own = [p for p in pairs if split_of("value", p[0].casefold()) == split]
    if [str(values[city].json).lower(), code] in ([c.lower(), s] for c, s in pairs):
        return drawn
    able = [p for p in own if p[1] == code] or [p for p in pairs if p[1] == code]
    if not able:
        short = len(str(values[state].json)) == 2
        able = [rng.choice(own or pairs)]
        drawn.append((state, able[0][1] if short else _NAMES[able[0][1]]))
    return [*drawn, (city, rng.choice(able)[0])]


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _sides(rng: random.Random, split: str, values: Mapping[str, Value], tool: ToolDefinition) -> Drawn:
    """Three sides of a triangle, any two of which are longer than the third, all of one size."""
    if not re.search(r"(?<![a-z])triang", f"{tool.name} {tool.description}", re.I):
        return []
    names = [n for n, v in values.items() if type(v.json) in (int, float) and _is_side(n, tool)]
    sides = [values[n].json for n in names]
    if len(names) != 3 or (2 * max(sides) < sum(sides) and max(sides) < 20 * min(sides)):
        return []
    most = rng.choice([12, 30, 100])
    one, two = rng.randint(most // 3, most), rng.randint(most // 3, most)
    drawn = [one, two, rng.randint(max(abs(one - two) + 1, most // 4), one + two - 1)]
    schemas = [resolve(tool.properties[n], tool.parameters) for n in names]
    if not all(Draft202012Validator(s).is_valid(d) for s, d in zip(schemas, drawn, strict=True)):
        return []
    return list(zip(names, drawn, strict=True))


def _is_side(name: str, tool: ToolDefinition) -> bool:
    about = f"{' '.join(words_of(name))} {tool.properties[name].get('description', '')}"
    named = {"side", "sides", "edge", "side1", "side2", "side3"} & set(words_of(name))
    return bool(named or name in ("a", "b", "c")) and not re.search(
        "angle|height|count|number", about.replace("triangle", ""), re.I
    )
