# Every target prepares .venv first; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME := .demo

.PHONY: help setup demo test check bench chaos secrets clean
.DEFAULT_GOAL := help

help:  ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# pip with a constraints file, torch first: a resolver that sees a bare `torch` may fetch another build.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Formulary needs Python 3.11 or newer; try: make PYTHON=python3.11 setup")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing packages into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/installed  ## Make the environment in .venv.

demo: setup  ## Serve, run a real study over HTTP, show its formulas, export the best config and train it.
	@$(BIN)/formulary demo --home $(DEMO_HOME)

test: setup  ## Run the tests (no GPU, no network).
	@$(BIN)/pytest -n 2 --dist worksteal $(TESTS)

check: setup  ## Lint, format, types and import contracts.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup  ## Measure the figures; `make bench FIGURE=name` runs one.
	@$(BIN)/python -m benchmarks $(FIGURE)

chaos: setup  ## The longest tests: kill processes, start clusters, train long stacks.
	@$(BIN)/pytest -m chaos $(TESTS)

secrets:  ## Make the passwords that docker-compose.yml needs, in secrets/.
	@sh docker/secrets.sh

clean:  ## Remove what the targets made.
	rm -rf $(VENV) $(DEMO_HOME) build dist
