# Every task sets up what it needs by itself: .ci/venv makes .venv, once, and again whenever
# pyproject.toml changes. All that must be there is Python 3.11 or newer.

BIN := .venv/bin

# On a server that is given the tests run in one process: its statistics, settings and functions
# are there only once.
WORKERS := $(if $(BY_CP_TEST_URL),0,2)

.DEFAULT_GOAL := help
.PHONY: help demo bench test interop lint types contracts fix clean torture venv

# Whether `make test` fails (must) or says so (if-possible) where by-framework cannot be installed.
INTEROP := if-possible

help: ## List the tasks (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: venv ## Show by-cp at work, on a server of its own; Ctrl-C ends it
	@$(BIN)/by-cp demo

test: lint types contracts ## Check everything, then run the tests (PYTEST_ARGS='-k name' for some)
	$(BIN)/pytest -n $(WORKERS) $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,@.ci/interop $(INTEROP))

interop: ## Run the tests against a real by-framework (needs Python 3.12)
	@.ci/interop must $(PYTEST_ARGS)

lint: venv ## Check style and format with Ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: venv ## Check types with mypy, strictly
	$(BIN)/mypy

contracts: venv ## Check who imports whom with import-linter
	$(BIN)/lint-imports

bench: venv ## Measure what by-cp costs, in ratios; see benchmarks/
	$(BIN)/python benchmarks/sends.py
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/folding.py
	$(BIN)/python benchmarks/rebuilding.py
	$(BIN)/python benchmarks/waiting.py
	$(BIN)/python benchmarks/archive_memory.py
	$(BIN)/python benchmarks/exporting.py
	$(BIN)/python benchmarks/replaying.py
	$(BIN)/python benchmarks/whatif.py

torture: venv ## Kill managers 200 times and the server once, under load; see docs/proofs.md
	$(BIN)/python benchmarks/torture $(TORTURE_ARGS)

fix: venv ## Let Ruff mend and format what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove everything that the tasks have made
	rm -rf .venv .venv.lock .interop-venv .interop-venv.lock build dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find by_cp tests -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@.ci/venv
