# The two commands: `make demo` shows mailflow at work, `make test` runs every test.
# Both set up everything they need in .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_ARGS ?= -n 2 --dist loadfile
BENCH_TICKETS ?= 50000

.PHONY: help setup demo test check lint types bench wheel lock clean

help:
	@echo "make demo    the main job, end to end, on embedded servers"
	@echo "make test    all tests"
	@echo "make check   what must hold before a commit: lint, types, tests"
	@echo "make bench   speed, as ratios to floors measured in the same run"
	@echo "make wheel   build the package into dist/"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mailflow needs Python 3.11 or newer; set PYTHON=python3.11 (or newer)"; exit 1; }
	@echo "Setting up $(VENV) (a few minutes the first time)…"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)
	@$(BIN)/mailflow demo

test: $(READY)
	@sh scripts/install-test-servers.sh
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy --strict mailflow

check: lint types test

# For the figures of docs/reliability.md: make bench BENCH_TICKETS=1000000 (11 GB, 15 minutes).
bench: $(READY)
	@for name in parse deadlines triage throughput latency; do \
		echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done
	@rm -rf build/desk-$(BENCH_TICKETS)
	@for name in scale sweep; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py \
		--folder build/desk-$(BENCH_TICKETS) --tickets $(BENCH_TICKETS) || exit 1; done

wheel: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w dist .

# Pins every dependency with its hashes; run it after a change of dependencies in pyproject.toml.
lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --extra postgresql --generate-hashes \
		--no-header --no-annotate --python-version 3.11 --universal --no-emit-index-url \
		-o requirements.lock

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .coverage
