# `make` and nothing else: the venv is made by the first verb that needs it.

# The first Python that TensorFlow has wheels for; `make PYTHON=...` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints.txt

.PHONY: all benchmark test test-long test-pythons soak lint format docs docs-site lock audit sbom clean

all: lint test

benchmark: $(VENV)/installed
	$(BIN)/mnistbench benchmark

# A worker for each core, up to four; the tests of a file stay on one, as they share what they measure.
PYTEST := pytest -n auto --dist loadfile --no-loadscope-reorder

# What takes long is left out: `make test-long`.
# `make test COVERAGE=yes` also counts the lines and branches that were run, and asks for enough.
test: PYTEST += -m "not long"
test: $(VENV)/installed-dev
ifdef COVERAGE
	rm -rf .coverage
	$(BIN)/python -m coverage run -m $(PYTEST)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
else
	$(BIN)/python -m $(PYTEST)
endif

test-long: $(VENV)/installed-dev
	$(BIN)/python -m $(PYTEST) -m long

# Breaks things on purpose, for most of an hour; SCALE=.1 takes a tenth. It goes on where it was broken off.
SCALE ?= 1
soak: $(VENV)/installed-dev
	$(BIN)/python tests/soak/soak.py --scale $(SCALE) --report docs/reliability.md

# On every Python that is here: the tests that need no framework, and a benchmark. A quarter of an hour.
test-pythons:
	$(PYTHON) tests/pythons.py --report docs/reliability.md

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(TOOLS) $(VENV)-3.* .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

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

# Of what is installed: by hand, as they ask the registry. They have a venv of their own.
TOOLS := $(VENV)-supply

$(TOOLS)/installed: $(CONSTRAINTS)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet -c $(CONSTRAINTS) cyclonedx-bom pip-audit pip-licenses uv
	touch $@

lock: $(TOOLS)/installed
	$(TOOLS)/bin/uv pip compile pyproject.toml --universal --python-version 3.10 --generate-hashes \
		--constraint $(CONSTRAINTS) --no-annotate --no-header --output-file constraints-hashed.txt

audit: $(TOOLS)/installed $(VENV)/installed
	$(TOOLS)/bin/pip-licenses --python $(BIN)/python --from=mixed --order=license
	$(TOOLS)/bin/pip-audit --requirement constraints-hashed.txt --require-hashes --disable-pip --strict

sbom: $(TOOLS)/installed
	rm -rf dist/mnistbench-*
	$(TOOLS)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(TOOLS)/bin/cyclonedx-py requirements constraints-hashed.txt --pyproject pyproject.toml \
		--output-reproducible --output-file dist/mnistbench.cdx.json
	$(TOOLS)/bin/python supply/sbom.py dist/mnistbench-*.whl dist/mnistbench.cdx.json

# The documents as a site, in build/site; its pages open from the disk too.
docs-site: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict
