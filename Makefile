# Two commands do everything: `make demo` and `make test`. Python 3.11 or newer is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := deploy/constraints.txt

.PHONY: demo test test-slow check ui bench compose-secrets install install-test

demo: $(VENV)/installed  ## Run the whole graph on the synthetic sample market and show the result.
	$(BIN)/factor-assets demo

test: $(VENV)/installed-test  ## The tests, but for the slow ones.
	$(BIN)/pytest -n 2 --dist worksteal --durations=10 -m "not slow"

test-slow: $(VENV)/installed-test  ## Kills, daemons, servers and whole graphs.
	$(BIN)/pytest -n 2 --dist worksteal --durations=10 -m slow

check: $(VENV)/installed-test  ## Lint, format, types, import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: $(VENV)/installed  ## Open the Dagster UI on the same instance.
	$(BIN)/factor-assets ui

bench: $(VENV)/installed-test  ## Speed beside the peers.
	@for script in factor_assets_tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

compose-secrets:  ## Make the passwords that docker-compose.yml wants, in .env.
	@deploy/secrets.sh

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	$(BIN)/factor-assets warm-up
	@touch $@

$(VENV)/installed-test: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[test]"
	$(BIN)/factor-assets warm-up
	@touch $@ $(VENV)/installed
