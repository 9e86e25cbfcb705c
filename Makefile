# `make` alone lists the targets. The first one that needs it sets up .venv.

PYTHON ?= python3
UV ?= uv
# More words for the command behind a target: make test ARGS="-k name"
ARGS ?=

# Where an environment forbids it, each of the hundreds of processes that tests start would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
READY := .venv/.ready
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak check fmt bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Show gapless at work against a simulated provider
	@$(BIN)/gapless demo $(ARGS)

test: $(READY) ## Run the tests; ARGS="-k name" picks some
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

soak: $(READY) ## Run the long versions of the suites
	@$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

check: $(READY) ## Check format, lint, types and floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

fmt: $(READY) ## Mend format and what lint can mend
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(READY) ## Measure, each number beside its limit
	@$(BIN)/python -m bench $(ARGS)

lock: ## Renew the requirements files (needs uv); ARGS=--upgrade takes newer versions
	@$(LOCK) $(ARGS) --extra cluster --extra notify pyproject.toml --output-file requirements.txt
	@$(LOCK) $(ARGS) --extra cluster --extra notify --extra dev --constraint requirements.txt pyproject.toml --output-file requirements-dev.txt

clean: ## Remove .venv and everything that was built
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(READY): requirements-dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "gapless needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1): say make PYTHON=/path/to/a/newer/python3" >&2; exit 1; }
	@echo "Setting up .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
