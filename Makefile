# Works on a fresh machine with Python 3.11 or newer, make and the package registries; never uses sudo or apt.
# `make help` lists the targets. ARGS="…" is handed to what a target runs.

PYTHON ?= python3
EXTRAS ?= dev
ARGS ?=

BIN := .venv/bin
UI := services/weir/hub/ui
UI_SOURCES := $(shell test -f $(UI)/package.json && find $(UI) -type f -not -path '*/node_modules/*' -not -name '*.tsbuildinfo')
PAGE := $(if $(wildcard $(UI)/package.json),services/weir/hub/static/index.html)
INSTALLED := .venv/.weir-installed
DEVELOPING := .venv/.weir-developing

.DEFAULT_GOAL := help
.PHONY: help run unit test check check-lint check-types check-imports check-page golden generate bpf bench kafka kube e2e-compose e2e-cluster ui clean
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED) $(PAGE) ## Watch the demo application: prints the URL of the page
	@exec $(BIN)/weir up --demo $(ARGS)

unit: $(DEVELOPING) ## Quick tests: no root, no network, no servers, at most a minute
	$(BIN)/python -m pytest tests/unit tests/property -q --hypothesis-profile quick $(ARGS)

test: $(DEVELOPING) $(PAGE) ## Every test but e2e-*; what the machine lacks is skipped with its reason
	$(BIN)/python -m pytest -m "not containers and not cluster" $(ARGS)

check: check-lint check-types check-imports check-page ## Lint, types, import rules, types of the page (-k: all of them)

check-lint: $(DEVELOPING)
	$(BIN)/ruff check .

check-types: $(DEVELOPING)
	$(BIN)/mypy -p weir

check-imports: $(DEVELOPING)
	$(BIN)/lint-imports

check-page: $(DEVELOPING)
	$(if $(PAGE),deploy/page/build.sh check,@true)

golden: $(DEVELOPING) ## Write the expected entries of the captures in tests/captures anew
	$(BIN)/python tests/captures/golden.py $(ARGS)

generate: $(DEVELOPING) ## Write docs/reference, the chart's schema and its rendering anew from the declarations
	$(BIN)/python docs/generate.py $(ARGS)
	$(BIN)/python deploy/helm/generate.py

bpf: ## Build the kernel filter of capture anew (needs clang)
	services/weir/capture/bpf/kernel/build.sh

bench: $(DEVELOPING) ## Speed and memory, as ratios against anchors measured in the same run
	$(BIN)/python tests/bench/run.py $(ARGS)

kafka: $(INSTALLED) ## A real Apache Kafka in the foreground (needs Java and Maven)
	@exec $(BIN)/python -m weir.testing.kafka $(ARGS)

kube: $(DEVELOPING) ## A real Kubernetes API in the foreground, with played nodes (needs Go once)
	@exec $(BIN)/python -m weir.testing.kube $(ARGS)

e2e-compose: $(DEVELOPING) $(PAGE) ## docker-compose.yml on a real Docker engine, from a request to the page
	$(BIN)/python -m weir.testing.engine -- $(BIN)/python -m pytest -m containers tests/e2e/compose $(ARGS)

e2e-cluster: $(DEVELOPING) $(PAGE) ## weir on two real nodes, installed by Helm (root; minutes of building at first)
	$(BIN)/python -m weir.testing.cluster -- $(BIN)/python -m pytest -m cluster tests/e2e/cluster $(ARGS)

ui: $(PAGE) ## Build the page into services/weir/hub/static

clean: ## Remove what was installed and built
	rm -rf .venv build dist services/weir/hub/static $(UI)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find libs services tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than Python 3.11"; echo "hint: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

$(INSTALLED): pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEVELOPING): pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@ $(INSTALLED)

services/weir/hub/static/index.html: $(UI_SOURCES) deploy/page/build.sh | $(INSTALLED)
	deploy/page/build.sh build
	@touch $@
