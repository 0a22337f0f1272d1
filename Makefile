# Every command a developer needs. `make demo` and `make test` work on a machine
# that has nothing but Python 3.11 or newer and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
HTTP ?= 127.0.0.1:8080
RELAY ?= 127.0.0.1:3478
PYTEST ?= $(BIN)/python -m pytest
ARGS ?=

.PHONY: help demo test test-all lint types docs guards fuzz bench faults coverage check clean

help:
	@echo "make demo       relay, two transceivers, a page and a call (ONCE=1: exit after the call)"
	@echo "make test       the default suite: no network, no browser, virtual time"
	@echo "make test-all   everything: browsers, other implementations, full-size threats"
	@echo "make check      lint, types, documentation"
	@echo "make guards     switch every guard off in turn; a test must fail for each"
	@echo "make fuzz       INPUTS=100000 inputs for every fuzz target"
	@echo "make bench      us and the others in turn, as ratios"
	@echo "make faults     kill, cut and flood a fleet under calls; what they hear (root; JSON=FILE)"

# One environment, grown on demand: each stamp adds what its targets need.
$(VENV)/.made:
	$(if $(shell command -v $(PYTHON)),,$(error there is no $(PYTHON) here; say which Python to use with: make PYTHON=python3.11))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "rtcproto needs Python 3.11 or newer; say which one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "this Python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.examples: $(VENV)/.made pyproject.toml
	@$(PIP) -e '.[examples]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.peers: $(VENV)/.dev
	@$(PIP) -e '.[dev,peers]'
	@touch $@

demo: $(VENV)/.examples
	@$(BIN)/python examples/demo.py --http $(HTTP) --relay $(RELAY) --transceivers 2 --probe \
	  $(if $(ONCE),--once) $(ARGS)

test: $(VENV)/.dev
	$(PYTEST) $(ARGS)

test-all: $(VENV)/.peers
	$(PYTEST) -m "" $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict -f docs/mkdocs.yml -d ../build/site

guards: $(VENV)/.dev
	$(BIN)/python tests/guards.py $(ARGS)

INPUTS ?= 100000
JOBS ?= 2
fuzz: $(VENV)/.dev
	$(BIN)/python fuzz/run.py --all --inputs $(INPUTS) --jobs $(JOBS) $(ARGS)

bench: $(VENV)/.peers
	$(BIN)/python -m tests.benchmarks $(ARGS)

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(if $(JSON),--json $(JSON)) $(ARGS)

coverage: $(VENV)/.dev
	$(BIN)/coverage run -m pytest && $(BIN)/coverage report

check: lint types docs

clean:
	rm -rf $(VENV) build dist site .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
