# `make` and nothing else: the venv is made by the first verb that needs it.

# The first Python that TensorFlow has wheels for; `make PYTHON=...` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints.txt

.PHONY: all benchmark test soak lint format docs docs-site clean

all: lint test

benchmark: $(VENV)/installed
	$(BIN)/mnistbench benchmark

# A worker for each core, up to four; the tests of a file stay on one, as they share what they measure.
PYTEST := pytest -n auto --dist loadfile --no-loadscope-reorder

# `make test COVERAGE=yes` also counts the lines and branches that were run, and asks for enough.
test: $(VENV)/installed-dev
ifdef COVERAGE
	rm -rf .coverage
	$(BIN)/python -m coverage run -m $(PYTEST)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
else
	$(BIN)/python -m $(PYTEST)
endif

# Breaks things on purpose, for most of an hour; SCALE=.1 takes a tenth. It goes on where it was broken off.
SCALE ?= 1
soak: $(VENV)/installed-dev
	$(BIN)/python tests/soak/soak.py --scale $(SCALE) --report docs/reliability.md

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "mnistbench needs Python 3.10 to 3.13: make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	touch $@

$(VENV)/installed-dev: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	touch $@ $(VENV)/installed

docs: $(VENV)/installed-dev
	$(BIN)/python docs/generate.py

# The documents as a site, in build/site; its pages open from the disk too.
docs-site: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict
