"""Numbers of a size that what they measure has, lists that belong together, and values that only a definition tells."""

from __future__ import annotations

import random
import re

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.planner import in_all_splits
from auto_lora.dialogues.values.fitting import fitting
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.side_by_side import of_one_length
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.planned import PlannedCall
from tests.tool_lists import tool


def _made(name, kind, description, count=200, words="", **more):
    sampler = Sampler(1, "train")
    sampler.tool_words = words
    schema = {"type": kind, "description": description, **more}
    return [sampler.sample(name, schema) for _ in range(count)]


def _numbers(*args, **more):
    return [v.json for v in _made(*args, **more)]


def test_a_person_is_as_tall_as_people_are():
    metres = _numbers("height", "number", "Height of the person in meters, e.g. 1.75")
    assert all(1.45 <= n <= 2.05 for n in metres) and len(set(metres)) > 20
    assert all(
        145 <= n <= 205 for n in _numbers("height_cm", "integer", "Height in cm", words="Compute the BMI.")
    )
    assert max(_numbers("height", "number", "Height of the cylinder in cm")) > 30


def test_what_is_measured_is_as_large_as_such_things_are():
    assert all(1 <= n <= 60 for n in _numbers("initial_velocity", "number", "The initial velocity in m/s"))
    assert all(0.5 <= n <= 15 for n in _numbers("acceleration", "number", "The acceleration in m/s^2"))
    assert all(0 < n <= 10 for n in _numbers("charge1", "number", "First charge in coulombs"))
    assert all(n < 100 for n in _numbers("radius", "number", "Radius of the base in cm"))


def test_sums_of_finance_are_round():
    gains = _made("long_term_gain", "number", "Long-term capital gain", words="Calculate the tax owed.")
    assert all(500 <= v.json <= 200_000 and v.json % 100 == 0 for v in gains)
    assert sum("$" in v.surface for v in gains) > 20
    assert all(25 <= n <= 1000 for n in _numbers("extra_payment", "number", "Extra amount paid each month"))
    assert max(_numbers("gain", "number", "Gain of the amplifier", words="Amplify a signal.")) < 10_000


def test_what_is_limited_is_not_counted():
    for name, about, low, high in (
        ("max_calories", "Maximum calories per serving", 200, 900),
        ("max_tokens", "Maximum number of tokens", 100, 4000),
        ("max_words", "Longest summary", 50, 500),
    ):
        made = _made(name, "integer", about)
        assert all(low <= v.json <= high for v in made)
        assert any(v.surface.endswith(name.partition("_")[2]) for v in made)
    assert all(n <= 10 for n in _numbers("max_results", "integer", "Most results to return"))
    for about in ("Number of decimal places to round to. Default is 2", "Decimals. Default is 4"):
        places = _numbers("precision", "integer", about)
        assert all(0 <= n <= 6 for n in places) and len(set(places)) > 4


def _numbers_of(description):
    return {"type": "array", "items": {"type": "number"}, "description": description}


PORTFOLIO = tool(
    "portfolio_return", "Calculate the expected return of a portfolio.", ["weights", "returns"],
    weights=_numbers_of("Weights of the assets, must sum to 1"), returns=_numbers_of("Expected return of each asset as a decimal"),
)  # fmt: skip


def test_lists_that_belong_together_are_of_one_length():
    rng, sampler, cut = random.Random(2), Sampler(2, "train"), 0
    for _ in range(100):
        drawn = {n: sampler.sample(n, s) for n, s in PORTFOLIO.properties.items()}
        fit = of_one_length(rng, drawn, PORTFOLIO)
        weights, returns = fit["weights"], fit["returns"]
        assert len(weights.json) == len(returns.json) > 2
        assert sum(round(100 * n) for n in weights.json) == 100 and min(weights.json) > 0
        assert all(re.search(rf"(?<![\d.]){re.escape(str(n))}(?!\d)", weights.surface) for n in weights.json)
        cut += any(fit[n] is not drawn[n] for n in fit)
        kept = of_one_length(rng, drawn, PORTFOLIO, ("weights",))
        assert kept == drawn
    assert cut > 20


def test_a_penalty_is_negative_where_its_default_is():
    penalties = _numbers("gap_penalty", "integer", "Penalty for a gap. Default is -1")
    assert all(-4 <= n <= -1 for n in penalties) and len(set(penalties)) == 4


def test_a_list_that_ends_in_or_names_all_there_are():
    courts = [
        v.json
        for v in _made("court", "string", "The court that decided the case: Supreme, Appellate or District")
    ]
    assert set(courts) == {"Supreme", "Appellate", "District"}
    open_list = [v.json for v in _made("court", "string", "The court, e.g. Supreme, Appellate or District")]
    assert set(open_list) - {"Supreme", "Appellate", "District"}


def test_a_constant_is_the_one_of_its_definition():
    made = _made("constant", "number", "Coulomb constant. Default is 8.99e9.", 20)
    assert {(v.json, v.surface) for v in made} == {(8.99e9, "8.99e9")}
    assert min(_numbers("depth", "integer", "Depth to search. Default is -1, which is unlimited")) > 0


def test_rates_stay_near_a_default_below_one():
    rates = _numbers("risk_free_rate", "number", "Risk-free rate, as a decimal. Default is 0.02")
    assert all(0 < n <= 0.06 for n in rates) and len(set(rates)) > 3
    assert all(n <= 0.15 for n in _numbers("return", "number", "Expected return of each asset as a decimal"))


def test_the_root_of_a_chord_is_a_note():
    notes = {
        v.json for v in _made("root", "string", "Root note, e.g. 'C#'", words="Return the notes of a chord.")
    }
    assert all(re.fullmatch("[A-G][#b]?", n) for n in notes) and len(notes) > 8
    folders = [
        v.json for v in _made("root", "string", "Root folder of the notes", words="list_notes List notes.")
    ]
    assert not any(re.fullmatch("[A-G][#b]?", f) for f in folders)


def test_the_only_example_of_a_kind_is_what_is_said():
    about = "The detail wanted. Default is 'general information'"
    made = [v.json for v in _made("detail", "string", about, 60)]
    # Others, too: what is always the same is known by heart and not copied.
    assert len(made) / 3 < made.count("general information") < len(made)
    flavors = {v.json for v in _made("flavor", "string", "Flavour, e.g. 'vanilla'", 40)}
    assert {"vanilla"} < flavors <= set(phrases("inventories")["flavor"])
    names = {v.json for v in _made("campaign_name", "string", "Name of the campaign, e.g. 'Spring Sale'", 40)}
    assert len(names) > 10


def test_items_are_of_the_kind_that_a_list_in_brackets_shows():
    def items(about, words):
        made = _made("specialty", "array", about, 60, words, items={"type": "string"})
        return {i for v in made for i in v.json}

    law = items("Areas of law, e.g. ['Civil', 'Divorce']", "Find a lawyer.")
    assert {"Civil", "Divorce", "Criminal"} < law
    assert not {"accountant", "nurse", "chef"} & law
    odd = items("Areas, e.g. ['glassblowing', 'smithing']", "Find a craftsman.")
    assert odd == {"glassblowing", "smithing"}


def _said(description, kind="string"):
    return {"type": kind, "description": description}


HISTORY = tool(
    "history_event", "Get information about a historical event.", ["event_name"],
    event_name=_said("Name of the event"), start_year=_said("First year", "integer"), end_year=_said("Last year", "integer"),
)  # fmt: skip
TEAM = tool(
    "team_schedule", "Get the games of a team.", ["team", "league"],
    team=_said("Name of the team"), league=_said("League the team plays in"),
)  # fmt: skip
DEALERS = tool(
    "find_dealers", "Find car dealers.", ["city"],
    city=_said("City"), state=_said("State"), zip_code=_said("ZIP code"),
)  # fmt: skip


def _fitting(of, count=150):
    rng, sampler = random.Random(4), Sampler(4, "train")
    sampler.tool_words = f"{of.name} {of.description}"
    for _ in range(count):
        drawn = {n: sampler.sample(n, s) for n, s in of.properties.items()}
        yield drawn, {n: v.json for n, v in fitting(rng, "train", drawn, of, ()).items()}


def test_years_are_those_of_the_event():
    spans, changed = phrases("pairs")["years_of_events"], 0
    for drawn, fit in _fitting(HISTORY):
        first, last = spans[fit["event_name"]]
        assert first - 10 <= fit["start_year"] <= first <= last <= fit["end_year"] <= last + 10
        changed += fit["end_year"] != drawn["end_year"].json
    assert changed > 50


def test_teams_are_of_the_league():
    leagues, seen = phrases("pairs")["teams_of_leagues"], set()
    for _, fit in _fitting(TEAM):
        assert fit["team"] in leagues[fit["league"]]
        seen.add((fit["team"], fit["league"]))
    assert len(seen) > 15


def test_a_city_with_a_zip_code_is_of_its_state():
    pairs, states = set(phrases("inventories")["city_and_state"]), phrases("inventories")
    codes = dict(zip(states["us_state"], states["us_state_code"], strict=True))
    seen = set()
    for _, fit in _fitting(DEALERS):
        assert f"{fit['city']}, {codes.get(fit['state'], fit['state'])}" in pairs
        seen.add(fit["city"])
    assert len(seen) > 20


def test_states_are_of_the_us_where_the_definition_says_so():
    states = set(phrases("inventories")["us_state"])
    assert {v.json for v in _made("state", "string", "The US state")} <= states
    assert {
        v.json for v in _made("state", "string", "State or province", words="Find a shop in the US.")
    } - states


def test_interest_is_compounded_as_often_as_banks_do():
    made = _made(
        "compounds_per_year",
        "integer",
        "Times interest is compounded per year, e.g. 12 for monthly. Default is 1",
    )
    assert {v.json for v in made} == {1, 2, 4, 12, 365}
    said = {(v.json, v.surface) for v in made}
    assert {(12, "monthly"), (12, "12 times a year"), (12, "12"), (1, "annually")} < said
    assert (4, "monthly") not in said
    years = _numbers("years", "integer", "Number of years the money is compounded")
    assert not set(years) <= {1, 2, 4, 12, 365}


def test_numbers_are_near_the_example():
    penalties = _numbers("gap_penalty", "integer", "Penalty for a gap, e.g. -2")
    assert all(-8 <= n <= -1 for n in penalties) and len(set(penalties)) > 4
    assert all(2 <= n <= 80 for n in _numbers("spread", "integer", "Spread of the fit, e.g. 20"))
    assert max(_numbers("spread", "number", "Spread of each, e.g. 1, 2, 3")) > 12


def _metres(of):
    return _said(f"Length of side {of} in meters", "number")


TRIANGLE = tool(
    "triangle_area", "Calculate the area of a triangle from its three sides.", ["side_a", "side_b", "side_c"],
    side_a=_metres("a"), side_b=_metres("b"), side_c=_metres("c"),
)  # fmt: skip


def test_three_sides_make_a_triangle():
    changed = 0
    for drawn, fit in _fitting(TRIANGLE):
        sides = sorted(fit.values())
        assert sides[2] < sides[0] + sides[1] and sides[2] < 20 * sides[0]
        changed += any(fit[n] != v.json for n, v in drawn.items())
    assert changed > 50
    rng, sampler = random.Random(5), Sampler(5, "train")
    for _ in range(50):
        drawn = {n: sampler.sample(n, s) for n, s in TRIANGLE.properties.items()}
        for value in fitting(rng, "train", drawn, TRIANGLE, ()).values():
            assert str(value.json) in value.surface or not re.search(r"\d", value.surface)


def test_a_grown_person_weighs_as_much_as_people_do():
    def weights(about, words):
        return _numbers("weight", "number", about, words=words)

    kilograms = weights("Weight of the person in kilograms", "calculate_bmi Calculate the BMI of a person.")
    assert all(45 <= n <= 120 for n in kilograms) and len(set(kilograms)) > 20
    assert min(weights("Weight in lbs", "calculate_bmi Calculate the BMI.")) >= 100
    assert min(weights("Weight of the parcel in kg", "Ship a parcel.")) < 20
    assert min(weights("Weight of the child in kg", "Calculate the dose for a child.")) < 40


BREW = tool("brew", "Brew a cup.", ["flavor"], flavor=_said("Flavour, e.g. 'vanilla'"))


def test_what_has_one_value_is_said_in_every_split():
    said = [PlannedCall(BREW, {"flavor": Value(v, v, "generic")}) for v in ("vanilla", "Vanilla", "mint")]
    assert [in_all_splits(call) for call in said] == [True, True, False]
