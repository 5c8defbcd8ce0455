"""Dates, times and codes in the form that a definition asks for."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_lora.dialogues.definitions.moments import as_written, asked_for, date_form, moment_form, time_form
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.values.sampler import Sampler

_AT = datetime(2026, 3, 8, 19, 5, 0)


@pytest.mark.parametrize(
    ("about", "written"),
    [
        ("Date of departure in the format YYYY-MM-DD", "2026-03-08"),
        ("Date of travel, MM/DD/YYYY", "03/08/2026"),
        ("Check-in date (dd-mm-yyyy)", "08-03-2026"),
        ("DD.MM.YYYY", "08.03.2026"),
        ("m/d/yyyy", "3/8/2026"),
        ("YYYYMMDD", "20260308"),
        ("Start of the period, %Y-%m-%d", "2026-03-08"),
        ("The date, e.g. 25/12/2024", "08/03/2026"),
        ("The date, e.g. 12/25/2024", "03/08/2026"),
        ("Expiry in MM/YY", "03/26"),
        ("An ISO 8601 date", "2026-03-08"),
    ],
)
def test_dates_are_written_as_the_description_says(about, written):
    assert as_written(_AT, date_form(about)) == written and not moment_form(about)


@pytest.mark.parametrize(
    ("about", "written"),
    [
        ("HH:MM", "19:05"),
        ("HH:MM:SS, 24-hour", "19:05:00"),
        ("hh:mm am/pm", "07:05 PM"),
        ("such as 7:30 PM", "7:05 PM"),
        ("'%I:%M %p'", "07:05 PM"),
        ("24-hour clock", "19:05"),
    ],
)
def test_times_are_written_as_the_description_says(about, written):
    assert as_written(_AT, time_form(about)) == written and not date_form(about)


@pytest.mark.parametrize(
    ("about", "written"),
    [
        ("YYYY-MM-DDTHH:MM:SS", "2026-03-08T19:05:00"),
        ("yyyy-MM-dd'T'HH:mm:ss", "2026-03-08T19:05:00"),
        ("such as 2024-01-15T10:00:00Z", "2026-03-08T19:05:00Z"),
        ("YYYY-MM-DD HH:MM", "2026-03-08 19:05"),
        ("%d.%m.%Y %H:%M", "08.03.2026 19:05"),
        ("ISO 8601 timestamp", "2026-03-08T19:05:00"),
    ],
)
def test_a_date_with_its_time_in_one_value(about, written):
    assert as_written(_AT, moment_form(about)) == written
    assert asked_for(about) == ("" if "2024" in about else "when")  # an example alone is no form


def test_no_form_where_none_is_named():
    for about in ("Day, in the words of the user", "Rain in mm", "10/11/2024", "Ratio of 5:3", "ISO 4217 code", "Length in mm or m"):  # fmt: skip
        assert not date_form(about) and not moment_form(about) and not asked_for(about), about


@given(st.datetimes(datetime(1940, 1, 1), datetime(2030, 1, 1)), st.permutations(["yyyy", "MM", "dd"]), st.sampled_from("-/."))  # fmt: skip
def test_a_written_date_can_be_read_back(moment, order, between):
    form = date_form(f"The day as {between.join(order)}.")
    assert datetime.strptime(as_written(moment, form), form).date() == moment.date()


def test_a_parameter_takes_its_role_from_the_form_and_its_value_has_it():
    assert role_of("first", "First day, YYYY-MM-DD", "string") == "date"
    assert role_of("arrival", "In 24h, HH:MM", "string") == "time"
    assert role_of("text", "Text; dates are written YYYY-MM-DD", "string") == "text"
    sampler = Sampler(1, "train")
    for _ in range(30):
        value = sampler.sample("checkin", {"type": "string", "description": "Check in date, DD-MM-YYYY"})
        assert datetime.strptime(value.json, "%d-%m-%Y").strftime("%Y") in value.surface
        born = sampler.sample("dob", {"type": "string", "description": "Date of birth, YYYY-MM-DD"})
        assert 1940 <= int(born.json[:4]) <= 2027
    starts = [sampler.sample("start_time", {"type": "string"}).json for _ in range(30)]
    assert not any("week" in s or "/" in s for s in starts)


def test_codes_are_values_and_names_their_words():
    sampler = Sampler(1, "train")

    def pairs(name, about):
        made = [sampler.sample(name, {"type": "string", "description": about}) for _ in range(60)]
        return {(v.json, v.surface) for v in made}

    countries = pairs("country_code", "Two-letter code of the country.")
    assert all(len(code) == 2 and code.isupper() for code, _ in countries)
    assert any(len(words) > 3 for _, words in countries)
    assert ("fr", "French") in pairs("target", "Language code, such as 'fr'.")
    assert all(len(code) == 3 for code, _ in pairs("country", "ISO 3166 alpha-3 code."))
    assert all(value == words for value, words in pairs("country_code", "Dialing code of the country."))


def test_letters_are_large_or_small_where_the_description_says_so():
    sampler = Sampler(1, "train")
    small = [
        sampler.sample("city", {"type": "string", "description": "City, in lowercase."}) for _ in range(20)
    ]
    assert all(v.json == v.surface.lower() for v in small) and any(v.json != v.surface for v in small)
    large = sampler.sample("city", {"type": "string", "description": "City, in upper case."})
    assert large.json == large.surface.upper()


def test_what_a_name_is_of_tells_the_kind_of_value():
    assert role_of("sport", "Name of the sport.", "string") == "sport"
    assert role_of("x", "The full name of the person.", "string") == "person"
    assert role_of("team", "Name of the team", "string") == "team"
    assert role_of("name", "The name.", "string") == "person_name"
