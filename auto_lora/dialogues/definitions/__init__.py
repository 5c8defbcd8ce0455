"""What a definition tells: what a tool does to what, what each argument stands for, which values and forms are named.

frames.py        the grammar of a line of the phrasebook
phrasebook.py    what is in `phrases/`: frames to splits, slots to roles
role_words.py    what a parameter stands for, by its own words
schemas.py       a schema without references and branches
meaning.py       what a tool does, by its name and description
acted_on.py      what it does that to, and what it measures
roles.py         what the arguments of a tool stand for
topics.py        sentences for one kind of tool, and which tool is of that kind
switches.py      a boolean that says on or off, open or close
decisions.py     enums of what is decided, said as verbs
enum_deeds.py    tools whose enum says what is done
deeds.py         deeds that arguments name beside the tool's own
programs.py      tools of programs and their makers: elements, callbacks, pods, branches
things.py        words of a thing that another argument says
units.py         units of measurement that a definition speaks of
moments.py       how a definition wants dates and times written
examples.py      values that a description names
quoted.py        what a single example in quotes tells
"""
