"""Stage 2: synthetic conversations whose labels are right by construction.

phrases/      the built-in writer's words, as data: topics/ (weather, set_alarm, ...), acts, roles, inventories, forms, units, entries,
              enums, switches, airports, measures, around, asides, personas, domains (what values are like where a tool speaks of
              law, rides, staff); what is no request: chat, no_call, near_misses, near_deeds, wrapped, distractors; vague: said,
              but nothing to call with
frames.py     the grammar of a line of the phrasebook
moments.py    how a definition wants dates and times written
phrasebook.py parameters to roles, frames to splits
meaning.py    what a definition says: what is done to what
examples.py   values that a description names
decisions.py  enums of what is decided, said as verbs
deeds.py      deeds that arguments name beside the tool's own
roles.py      what the arguments of a tool stand for
programs.py   tools of programs and their makers: elements, callbacks, pods, branches
topics.py     sentences for one kind of tool, and which tool is of that kind
switches.py   a boolean that says on or off, open or close
patterns.py   strings that a regular expression matches
pools.py      open vocabularies: names, titles, places, times as people say them
surfaces.py   a value with its words; times and lists as people say them
units.py      units of measurement that a definition speaks of
quantities.py numbers of a sensible size
said_numbers.py their words, by what they count
sizes.py      sizes that such numbers have in life
money.py      amounts in cents, changes with a sign
side_by_side.py lists of numbers that belong together
spans.py      lengths of time, and how people say them
dates.py      dates and times, and their words
codes.py      codes like a definition's example, codes of what has a name
pool_for.py   which values an argument has, by what its definition speaks of
tables.py     queries of a few small databases
things.py     words of a thing that another argument says
strings.py    strings of the form that a definition asks for, else as people type them
schemas.py    a schema without references and branches
ends.py       two ends of a range in order
objects.py    objects, part by part
quoted.py     what a single example in quotes tells
compounding.py how often interest is compounded
values.py     argument values of any schema
near.py       which requests no tool serves, shipped tools that may stand beside any
naming.py     parameters' names as people say them
corrections.py people who change their mind
asides.py     an argument in a sentence of its own
told_forms.py how a definition has an argument said
unnamed.py    arguments whose names are no nouns
numbered.py   things with what says which they are
limits.py     limits as they are said: "under $50", "within 5 km"
arguments.py  how an argument is said
timely.py     times as they stand in a sentence
wanted.py     what is acted on, with what says which it is
clause.py     a planned call in a frame
said.py       words of a sentence that are an argument where a tool has one for them
several.py    calls of one tool in one breath
planned.py    what a writer is asked for and what it gives
chooser.py    which frame a tool is asked for in, and which arguments are given
together.py   which arguments people give beside which
surroundings.py what people put around a request, and how they type it
writer.py     the built-in writer: planned calls in words
no_call.py    requests that no tool serves
llm_writer.py a language model as writer, its texts verified
respond.py    simulated tool responses and final answers
verify.py     what a conversation must pass
style.py      how the user's own prompts are typed
reader.py     lines that a user wrote, as conversations
donated.py    what the user has: cases, prompts, public data
own_values.py values of the user's own domain
casing.py     values as they are typed without capitals
fitting.py    values that are true of one thing
work_texts.py texts that are about one matter: a ticket's title and its description
one_time.py   days, hours and parts of the day that say one time
counted.py    things and how many of each
agreeing.py   a call's values made to agree, step by step
planner.py    one call: which arguments, and their values
maker.py      one conversation: its calls planned, worded, answered
generator.py  as many as are wanted, none twice, verified
variants.py   distractors, meaningless names
writable.py   whether values can be made up at all
"""

from auto_lora.dialogues.donated import Donated
from auto_lora.dialogues.generator import SyntheticDataGenerator, find_links
from auto_lora.dialogues.llm_writer import LLMWriter
from auto_lora.dialogues.maker import Writer
from auto_lora.dialogues.own_values import ValueSampler
from auto_lora.dialogues.planned import PlannedCall, Written
from auto_lora.dialogues.planner import Focus
from auto_lora.dialogues.variants import vary
from auto_lora.dialogues.writable import check_values

__all__ = [
    "Donated", "Focus", "LLMWriter", "PlannedCall", "SyntheticDataGenerator", "ValueSampler", "Writer", "Written",
    "check_values", "find_links", "vary",
]  # fmt: skip
