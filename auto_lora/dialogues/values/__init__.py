"""Argument values with the words that people use for them, and what makes them agree with one another.

surfaces.py      a value with its words; times and lists as people say them
sampler.py       argument values of any schema: what asks for all of these
english.py       numbers in words, ordinals, plurals
said_times.py    days, times of day and spans in the user's words
pools.py         open vocabularies: names, titles, places, texts
pool_for.py      which values an argument has, by what its definition speaks of
strings.py       strings of the form that a definition asks for, else as people type them
patterns.py      strings that a regular expression matches
codes.py         codes like a definition's example, codes of what has a name
tables.py        queries of a few small databases
objects.py       objects, part by part
quantities.py    numbers of a sensible size
sizes.py         sizes that numbers have in life
said_numbers.py  numbers as people say them, by what they count
spans.py         lengths of time, and how people say them
money.py         amounts in cents, changes with a sign
compounding.py   how often interest is compounded
described.py     commands that are described
dates.py         dates and times, and their words
naming.py        parameters' names as people say them
casing.py        values as they are typed without capitals
own_values.py    values of the user's own domain
writable.py      whether values can be made up at all
ends.py          two ends of a range in order
side_by_side.py  lists of numbers that belong together
contradicted.py  booleans that another argument contradicts
one_time.py      days, hours and parts of the day that say one time
counted.py       things and how many of each
fitting.py       values that are true of one thing
work_texts.py    texts that are about one matter: a ticket's title and its description
"""
