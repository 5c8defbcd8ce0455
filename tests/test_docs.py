"""The README says what the code says; run as a program it rewrites the table of settings."""

from __future__ import annotations

from pathlib import Path

import auto_lora
from auto_lora._settings import options_table

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- options -->\n", "<!-- end options -->"


def with_table(text: str) -> str:
    before, rest = text.split(START)
    return before + START + options_table() + "\n" + END + rest.split(END)[1]


def test_the_table_of_settings_is_current():
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "run: make readme"


def test_the_tree_names_every_file():
    tree = (README.parent / "docs" / "code.md").read_text(encoding="utf-8")
    package = Path(auto_lora.__file__).parent
    for path in package.iterdir():
        if path.name != "__pycache__":
            assert f"  {path.name}" in tree or f" {path.name}/" in tree, path.name


def test_the_packages_of_the_writer_list_their_files():
    folder = Path(auto_lora.__file__).parent / "dialogues"
    listings = list(folder.rglob("__init__.py"))
    assert len(listings) == 4
    for listing in listings:
        text = listing.read_text(encoding="utf-8")
        assert all(p.name in text for p in listing.parent.glob("*.py") if p != listing), listing


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
