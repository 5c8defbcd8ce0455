"""A planned call in the words of a request, and requests for which no call is right.

planned.py       what a writer is asked for and what it gives
chooser.py       which frame a tool is asked for in, and which arguments are given
managed.py       the frames of a tool whose enum says what is done
together.py      which arguments people give beside which
clause.py        a planned call in a frame
wanted.py        what is acted on, with what says which it is
kinds.py         kinds that stand before their noun
numbered.py      things with what says which they are
phrased.py       how an argument is said
arguments.py     those that a sentence has no place for, at its end
told_forms.py    how a definition has an argument said
limits.py        limits as they are said: "under $50", "within 5 km"
unnamed.py       arguments whose names are no nouns
timely.py        times as they stand in a sentence
asides.py        an argument in a sentence of its own
corrections.py   people who change their mind
several.py       calls of one tool in one breath
said.py          words of a sentence that are an argument where a tool has one for them
writer.py        the built-in writer: planned calls in words
surroundings.py  what people put around a request, and how they type it
style.py         how the user's own prompts are typed
no_call.py       requests that no tool serves
near.py          which requests no tool serves, shipped tools that may stand beside any
"""
