"""Queries of a few small databases, as they are typed: a column that is grouped by is selected, nothing is called by a word of SQL."""

from __future__ import annotations

import random

from auto_lora.dialogues.definitions.phrasebook import phrases


def query(rng: random.Random, *, reads: bool) -> str:
    """A statement about one table of `phrases/tables.json`.

    Args:
        reads: it only reads.
    """
    table = rng.choice(list(phrases("tables")))
    columns = phrases("tables")[table]
    number, other = rng.choice(columns["numbers"]), rng.choice(columns["plain"])
    column, values = rng.choice(list(columns["values"].items()))
    value, count = rng.choice(values), rng.randint(2, 500)
    where = rng.choice(
        [f"{column} = '{value}'", f"{number} > {count}", f"{number} < {count}", f"id = {count}"]
    )
    forms = [
        f"SELECT * FROM {table}", f"SELECT {other} FROM {table}", f"SELECT {other}, {number} FROM {table}", f"SELECT COUNT(*) FROM {table}",
        f"SELECT * FROM {table} WHERE {where}", f"SELECT {other} FROM {table} WHERE {where}", f"SELECT COUNT(*) FROM {table} WHERE {where}",
        f"SELECT * FROM {table} ORDER BY {number} DESC LIMIT {rng.randint(1, 10) * 10}", f"SELECT AVG({number}) FROM {table}", f"SELECT MAX({number}) FROM {table} WHERE {where}",
        f"SELECT {column}, COUNT(*) FROM {table} GROUP BY {column}", f"SELECT {column}, SUM({number}) FROM {table} GROUP BY {column}", f"SELECT DISTINCT {column} FROM {table}",
    ]  # fmt: skip
    if not reads:
        forms += [
            f"DELETE FROM {table} WHERE {where}", f"UPDATE {table} SET {column} = '{value}' WHERE id = {count}", f"UPDATE {table} SET {number} = {count} WHERE id = {count + 1}",
            f"INSERT INTO {table} ({column}, {number}) VALUES ('{value}', {count})",
        ]  # fmt: skip
    return rng.choice(forms)
