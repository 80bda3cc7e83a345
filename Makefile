.DEFAULT_GOAL := help
.PHONY: help setup lock demo run test lint fuzz storm bench bench-receiver widget clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_VERSION := 0.13.9

help: ## Show this help.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtual environment from the lock file.

$(READY): setup.py requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parley needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps uv==$(UV_VERSION) --editable .
	@touch $(READY)

lock: ## Pin again what setup.py asks for (needs the network).
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra test --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file requirements.lock setup.py
	@$(BIN)/uv pip compile --quiet --no-deps --python-version 3.11 --extra worker --constraint requirements.lock \
		--no-emit-package apache-beam --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file deploy/dataflow/requirements.txt setup.py

demo: setup ## Run the main job end to end on this machine, and compare live with batch.
	@$(BIN)/parley demo

run: setup ## Start everything locally and keep it running until Ctrl-C.
	@$(BIN)/parley run

test: setup ## Run the tests.
	@$(BIN)/python -m pytest -n 2 --dist loadfile

fuzz: setup ## Throw 200,000 and more inputs at the parsers (about half an hour).
	@$(BIN)/python -m pytest --hypothesis-profile=fuzz --timeout=3600 -n 2 -m hypothesis tests/pipelines/sources

storm: setup ## Kill the receiver 50 times under load, and look for what is lost.
	@PARLEY_STORM_KILLS=50 $(BIN)/python -m pytest --timeout=1800 -s tests/receiver/test_storm.py

bench: bench-receiver ## Measure speed; figures go to build/bench.

bench-receiver: setup
	@$(BIN)/python tests/bench/bench_receiver.py

lint: setup ## Check style and types.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

widget: ## Build the chat widget from its sources (needs Node.js 20 and npm).
	@cd receiver/chatplugin/ui && npm ci --ignore-scripts && npm test && npm run check && npm run build

clean: ## Remove everything that was made here.
	@rm -rf $(VENV) .parley build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis receiver/chatplugin/ui/node_modules
