# Two commands do everything: `make demo` and `make test`. The rest is for contributors.
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
READY := $(VENV)/.ready
PYTHON ?= python3
DESTINATIONS ?= sentry
WIRE ?= transactions
.DEFAULT_GOAL := help
# Tests start hundreds of programs. Where Python is told to write no bytecode, each of them would
# compile all that it imports, which takes longer than the rest.
export UV_COMPILE_BYTECODE := 1

$(READY): pyproject.toml requirements/dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q src tests examples bench
	touch $@

.PHONY: help setup demo test unit lint types imports check bench docs lock clean collector
help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'
setup: $(READY) ## install everything into .venv
demo: $(READY) ## the governance example on the embedded receiver; DESTINATIONS=otlp,console to swap, WIRE=spans
	$(BIN)/python -m examples.governance.demo --destinations "$(DESTINATIONS)" --wire "$(WIRE)"
# In the order of the files: the longest, those with peers, are not left to the end.
test: $(READY) ## every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)
unit: $(READY) ## the fast tests only
	$(BIN)/python -m pytest -q tests/unit $(ARGS)
lint: $(READY) ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
types: $(READY) ## strict types
	$(BIN)/mypy
imports: $(READY) ## the direction of imports
	$(BIN)/lint-imports
check: lint types imports test ## all that continuous integration checks
collector: ## build the OpenTelemetry Collector that collector-config/ is for; needs Go
	./collector-config/build
bench: $(READY) ## compare with bare OpenTelemetry, OTLP and Sentry's SDK
	$(BIN)/python -m bench $(ARGS)
lock: $(READY) ## renew the pinned versions
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --all-extras --group test --group example --group bench pyproject.toml -o requirements/dev.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate tests/peers/bugsink.in -o tests/peers/bugsink.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate tests/peers/instrumentations.in -o tests/peers/instrumentations.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate tests/peers/kubernetes.in -o tests/peers/kubernetes.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate tests/peers/sentry_cli.in -o tests/peers/sentry_cli.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate tests/peers/zero_code.in -o tests/peers/zero_code.lock
	npm install --prefix tests/peers/spotlight --package-lock-only --ignore-scripts \
	  --omit-lockfile-registry-resolved --no-audit --no-fund
clean: ## remove everything that was built
	rm -rf $(VENV) .peers .collector build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
