# `make demo` and `make test` need nothing but Python 3.11 or newer; both set up `.venv` first.

VENV ?= .venv
# The first of these that is new enough, unless PYTHON names one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
# Stamps: as long as they are newer than what they come from, pip has nothing to do.
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
SOURCES := pyproject.toml constraints.txt
# `gpu` wants a GPU, which few machines have.
BENCHMARKS ?= $(filter-out ray_tune gpu search_quality,$(patsubst benchmarks/%.py,%,$(shell grep -l '^def main' benchmarks/*.py)))
PYTEST_ARGS ?=
GPU_ARGS ?=
HISTORIES := tests/unit/scheduler/test_histories.py
# Whatever counts faults.
FAULTS ?= tests/faults $(HISTORIES) tests/unit/test_artifacts.py tests/integration/test_leadership.py
GUARDS ?=

.PHONY: help demo test check format faults core-coverage guards bench bench-gpu venv constraints clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    start the service, tune a network on real images, show the result"
	@echo "make test    run all tests (PYTEST_ARGS='-k name' for some)"
	@echo "make check   lint, formatting, types, imports, branches of the scheduler's core"
	@echo "make faults  the fault tests in full number, counted in docs/reliability.md (FAULTS=file)"
	@echo "make core-coverage  that tests reach every branch of the scheduler's core"
	@echo "make guards  that tests turn red without each guard (GUARDS='checksum' for one)"
	@echo "make bench   the benchmarks (BENCHMARKS='overhead' for one)"
	@echo "make bench-gpu  lanes on a GPU (GPU_ARGS='--ks 64 1024' for some)"
	@echo "make venv    set up $(VENV) with everything for development"
	@echo "make clean   remove $(VENV) and everything built"

demo: $(INSTALLED)
	@$(BIN)/tuner demo

# Tests of a file stay in one process, and so what they share, a server say, is set up once.
test: $(INSTALLED_DEV)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

check: core-coverage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(INSTALLED_DEV)
	$(BIN)/python -m pytest $(FAULTS) --faults --timeout 3600 $(PYTEST_ARGS)

# Every branch of the scheduler's core, by the tests that name a behaviour: no random history.
core-coverage: $(INSTALLED_DEV)
	$(BIN)/python -m coverage run --branch --source=tuner/scheduler --data-file=.coverage.core \
		-m pytest -q tests/unit/scheduler --ignore=$(HISTORIES)
	$(BIN)/python -m coverage report --data-file=.coverage.core --fail-under=100

guards: $(INSTALLED_DEV)
	$(BIN)/python -m tests.faults.guards $(GUARDS)

bench: $(INSTALLED_DEV)
	@for name in $(BENCHMARKS); do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

# Prints a table with the device and the day; without a GPU it says so and fails.
bench-gpu: $(INSTALLED_DEV)
	@$(BIN)/python -m benchmarks.gpu $(GPU_ARGS)

venv: $(INSTALLED_DEV)

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Install one, or name it:"; \
		echo "    make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No virtual environment: on Debian and Ubuntu, apt-get install python3-venv."; exit 1; }

$(INSTALLED): $(SOURCES) | $(BIN)/python
	@echo "Installing into $(VENV); the first time takes some minutes."
	@$(INSTALL) --quiet -e .
	@touch $@

$(INSTALLED_DEV): $(SOURCES) | $(BIN)/python
	@echo "Installing into $(VENV); the first time takes some minutes."
	@$(INSTALL) --quiet -e '.[dev]'
	@touch $(INSTALLED) $@

# Pin what is installed now. A build's own suffix (+cpu, +cu130) is the platform's business.
constraints: $(INSTALLED_DEV)
	@{ echo "# Exact versions the tests ran with: make constraints"; \
		$(BIN)/python -m pip freeze --all --exclude-editable --exclude pip | sed 's/+c[pu].*//'; } > constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage* .hypothesis
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find app tuner models tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
