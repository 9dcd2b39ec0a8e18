# Needs Python 3.11 or later, make and git; everything else comes into .venv: what the command
# line and all its questions need from requirements.txt, what the tests need too from requirements-dev.txt. `make`
# alone lists what can be made.

VENV := .venv
BIN := $(VENV)/bin
LEAN := $(VENV)/.installed-lean
STAMP := $(VENV)/.installed
LOWEST := .venv-lowest
DEMO := demo.db
TIMES ?= 20
ROWS ?= 10000000
EVENTS ?= 320000
SIZES ?= 32000 300000

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help install demo test lint torture catalogues lowest bench clean

help:  ## list what can be made
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 16

install: $(STAMP)  ## make .venv with everything in it; at once when it is up to date

$(LEAN): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMP): $(LEAN) requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

demo: $(LEAN)  ## simulate two and a half years of a sales team in demo.db and tell its story
	@rm -rf $(DEMO) $(DEMO)-wal $(DEMO)-shm $(DEMO)-columns
	$(BIN)/salesflow demo --db sqlite:///$(DEMO)

lint: install  ## style, formatting, types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports --no-cache

test: lint  ## lint, then every test on SQLite and PostgreSQL, with the coverage of branches
	$(BIN)/python -m pytest --quiet --cov --numprocesses auto --dist worksteal

torture: install  ## the same properties and crashes, twenty times as hard (TIMES=100: a hundred)
	SALESFLOW_TORTURE=$(TIMES) $(BIN)/python -m pytest --quiet -o faulthandler_timeout=0 --numprocesses auto \
		--dist worksteal tests/properties tests/store tests/importing tests/exporting tests/outbox \
		tests/cli/test_hostile_commands.py tests/domain/test_impossible_merges.py \
		tests/test_docs.py::test_a_fact_is_added_by_what_the_document_shows

catalogues: install  ## compile the messages that translators have written
	$(BIN)/python tests/catalogues.py

lowest:  ## run the tests with the oldest versions that pyproject.toml allows
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --requirement requirements-lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(LOWEST)/bin/python -m pytest --quiet --numprocesses auto --dist worksteal \
		--ignore tests/test_style.py --ignore tests/properties --ignore tests/test_benchmarks.py \
		--deselect tests/test_docs.py::test_a_fact_is_added_by_what_the_document_shows

bench: install  ## measure recording, asking and rebuilding, also beside the library (EVENTS=10000000)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.against_library
	$(BIN)/python -m benchmarks.at_scale --rows $(ROWS)
	$(BIN)/python -m benchmarks.rebuild --events $(EVENTS)
	$(BIN)/python -m benchmarks.questions --events $(SIZES) --mix demo --seconds 5
	$(BIN)/python -m benchmarks.latency --events $(firstword $(SIZES)) --mix demo

clean:  ## remove what was made, the virtual environment too
	rm -rf $(VENV) $(LOWEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	rm -rf $(DEMO) $(DEMO)-wal $(DEMO)-shm $(DEMO)-columns
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
