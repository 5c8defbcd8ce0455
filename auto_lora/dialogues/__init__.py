"""Stage 2: synthetic conversations whose labels are right by construction.

phrases/      the built-in writer's words, as data: topics/ (weather, set_alarm, ...), acts, roles, inventories, forms, units, entries,
              enums, switches, airports, measures, around, asides, personas, domains (what values are like where a tool speaks of
              law, rides, staff); what is no request: chat, no_call, near_misses, near_deeds, wrapped, distractors; vague: said,
              but nothing to call with
definitions/  what a definition tells
values/       argument values, with their words
wording/      requests in words

planner.py     one call: which arguments, and their values
agreeing.py    a call's values made to agree, step by step
maker.py       one conversation: its calls planned, worded, answered
llm_writer.py  a language model as writer, its texts verified
respond.py     simulated tool responses and final answers
verify.py      what a conversation must pass
generator.py   as many as are wanted, none twice, verified
variants.py    distractors, meaningless names
donated.py     what the user has: cases, prompts, public data
reader.py      lines that a user wrote, as conversations
"""

from auto_lora.dialogues.donated import Donated
from auto_lora.dialogues.generator import SyntheticDataGenerator, find_links
from auto_lora.dialogues.llm_writer import LLMWriter
from auto_lora.dialogues.maker import Writer
from auto_lora.dialogues.planner import Focus
from auto_lora.dialogues.values.own_values import ValueSampler
from auto_lora.dialogues.values.writable import check_values
from auto_lora.dialogues.variants import vary
from auto_lora.dialogues.wording.planned import PlannedCall, Written

__all__ = [
    "Donated", "Focus", "LLMWriter", "PlannedCall", "SyntheticDataGenerator", "ValueSampler", "Writer", "Written",
    "check_values", "find_links", "vary",
]  # fmt: skip
