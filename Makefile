.DEFAULT_GOAL := help
# Some images forbid Python to keep bytecode: then each of the many processes that tests start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup lock wheels demo run unit test test-thorough lint graph fuzz storm storm-replies mutants siege recount screenshots golden test-dataflow dataflow-files bench bench-receiver bench-attacked bench-hostile bench-costs bench-batch bench-streaming bench-live bench-reprocess bench-replies bench-dashboard bench-erase bench-sealed erased-worlds runners flink dbt terraform test-runners sbom audit widget clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_VERSION := 0.13.9
CYCLONEDX_VERSION := 7.5.0
PIP_AUDIT_VERSION := 2.10.1
SECONDS ?= 1800
RECEIVERS ?= 2
EVERY ?= 1.25
ATTACKERS ?= 8
REPLIES ?= 5000
SENDERS ?= 1
RUNNERS := build/runners
DBT := build/dbt
DBT_VERSION := 1.11.16
DBT_BIGQUERY_VERSION := 1.12.1
FLINK_VERSION := 1.19.3
PYTHONS := 3.11 3.12 3.13

help: ## Show this help.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtual environment from the lock file.

$(READY): setup.py requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parley needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
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

	@$(MAKE) --no-print-directory wheels

wheels: setup ## Check that every pinned package has a wheel for each supported Python (needs the network).
	@for version in $(PYTHONS); do $(BIN)/uv pip install --quiet --dry-run --no-deps --only-binary :all: --require-hashes \
		--python-version $$version --target build/wheels --requirement requirements.lock || exit 1; done
	@echo "every pinned package has a wheel for Python $(PYTHONS)"

demo: setup ## Run the main job end to end on this machine, and compare live with batch.
	@$(BIN)/parley demo

run: setup ## Start everything locally and keep it running until Ctrl-C.
	@$(BIN)/parley run

# The pure core, the parsers, and the receiver without its server: no other process, no emulator, no Beam runner.
UNIT := tests/pipelines/core tests/pipelines/sources tests/receiver/chatplugin tests/receiver/durable tests/receiver/operate \
	tests/receiver/proofs tests/receiver/sources tests/receiver/web tests/receiver/test_config.py \
	tests/receiver/test_event_loop.py tests/schemas/test_custom_sources.py tests/schemas/test_loader.py
# Every payload that is known, one by one, and bodies that are as heavy as can be: thousands of tests, and slow ones.
NOT_UNIT := tests/pipelines/sources/test_every_json_source.py tests/pipelines/sources/test_every_telling.py \
	tests/pipelines/sources/test_hostile_bodies.py

unit: setup ## Run the fast tests: parsers, core, receiver (half a minute).
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not hypothesis" $(UNIT) $(addprefix --ignore=,$(NOT_UNIT))

test: setup ## Run the tests (five minutes).
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not thorough"

test-thorough: setup ## Run the tests that take long: generated worlds, kills at every step, every browser page (a quarter of an hour).
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m thorough

fuzz: setup ## Throw 200,000 and more inputs at the parsers, and 15,000 histories at live and batch (about half an hour).
	@$(BIN)/python -m pytest --hypothesis-profile=fuzz --timeout=3600 -n 2 -m hypothesis \
		tests/pipelines/sources tests/pipelines/reprocess tests/receiver/proofs tests/schemas

storm: setup ## Kill the receiver 50 times under load, and look for what is lost.
	@PARLEY_STORM_KILLS=50 $(BIN)/python -m pytest --timeout=1800 -s tests/receiver/test_storm.py

# REPLIES=100000 SENDERS=2 is the long one: about an hour here.
storm-replies: setup ## Send 5,000 replies while sender and receiver die at every step (REPLIES, SENDERS; minutes).
	@$(BIN)/python tests/pipelines/replies/storm.py --replies $(REPLIES) --senders $(SENDERS)

mutants: setup ## Change the code in small ways, and see whether its tests notice (needs the network; about half an hour).
	@$(BIN)/python -m tests.mutants $(MUTANTS)

siege: setup ## Besiege a whole stack (SECONDS=1800, RECEIVERS=2, ATTACKERS=8, an accident EVERY so many seconds), and account for every acknowledged event.
	@$(BIN)/python -m tests.siege --seconds $(SECONDS) --receivers $(RECEIVERS) --every $(EVERY) \
		--attackers $(ATTACKERS)

recount: setup ## Compare the views with generated worlds: of 100,000 messages, of 10,000 people, and of 2,000 histories.
	@PARLEY_RECOUNT_CONVERSATIONS=15500 PARLEY_RECOUNT_PEOPLE=10000 PARLEY_RECOUNT_HISTORIES=2000 \
		$(BIN)/python -m pytest --timeout=1800 --durations=3 tests/pipelines/reprocess/test_exact.py \
		tests/schemas/test_recount_of_a_generated_world.py tests/schemas/test_people_of_a_generated_world.py

erased-worlds: setup ## Erase people of 1,000 worlds made by chance, and kill erasures at every step (about an hour).
	@PARLEY_ERASED_WORLDS=1000 $(BIN)/python -m pytest --timeout=1800 -n 2 \
		tests/pipelines/erase/test_erased_worlds.py tests/pipelines/erase/test_killed_erasure.py

screenshots: setup ## Take the README's pictures of the dashboard, the widget and a plan's report (needs Chromium).
	@$(BIN)/python -m tests.screenshots

graph: setup ## Draw who imports whom into docs/architecture.md.
	@$(BIN)/python tests/docs/rooms.py

golden: setup ## Record what the samples become, for a new generation or new samples.
	@$(BIN)/python tests/pipelines/reprocess/golden.py

bench: bench-receiver bench-costs bench-batch bench-streaming bench-live bench-replies ## Measure speed (half an hour); figures go to build/bench.
	@$(BIN)/python -m tests.bench.bench_reprocess 10000 100000

bench-reprocess: setup ## Plan, apply and roll back 100,000 and 1,000,000 events (about half an hour).
	@$(BIN)/python -m tests.bench.bench_reprocess

bench-receiver: setup
	@$(BIN)/python tests/bench/bench_receiver.py

bench-attacked: setup ## Measure what proven senders notice of 64 attackers (about two minutes).
	@$(BIN)/python tests/bench/bench_attacked.py

bench-hostile: setup ## Measure what six hostile bodies of proven senders cost others (about a minute).
	@$(BIN)/python -m tests.bench.bench_hostile

# PARLEY_BENCH_EVENTS="10000 100000 1000000 10000000" asks for other volumes.
bench-batch: setup
	@$(BIN)/python -m tests.bench.bench_batch

bench-costs: setup ## Rows, bytes and processor time an event, beside an older commit (four minutes).
	@$(BIN)/python -m tests.bench.bench_costs

bench-streaming: setup
	@$(BIN)/python -m tests.bench.bench_streaming

bench-live: setup ## Measure the live path by itself: events/s a core, and delays at half of that (two minutes).
	@$(BIN)/python -m tests.bench.bench_live

# PARLEY_BENCH_CONVERSATIONS=150000 is a million messages, which take a quarter of an hour to make and to load.
bench-dashboard: setup ## Measure how soon each page of the dashboard is there, over 50,000 messages (minutes).
	@$(BIN)/python -m tests.bench.bench_dashboard $(PARLEY_BENCH_CONVERSATIONS)

bench-erase: setup ## Erase 100 people together from a million events (half an hour; EVENTS=20000 takes minutes).
	@$(BIN)/python -m tests.bench.bench_erase $(EVENTS)

bench-sealed: setup ## What sealing the archive costs a commit and a batch run (two minutes).
	@$(BIN)/python -m tests.bench.bench_sealed $(EVENTS)

bench-replies: setup
	@$(BIN)/python tests/bench/bench_replies.py

test-dataflow: setup ## Submit jobs to a local stand-in of Google, and do their work with what was staged.
	@$(BIN)/python -m pytest tests/pipelines/deploy/submission.py

dataflow-files: setup ## Write the files of deploy/dataflow that follow from the code.
	@$(BIN)/python -m pipelines.deploy.files

test-runners: setup ## Run the pipeline on Flink and on Prism (see docs/runners.md).
	-@$(MAKE) --no-print-directory --keep-going runners
	@$(BIN)/python -m pytest --timeout=1800 tests/runners/test_*.py

# dbt wants other versions of what the lock file pins, so it has an environment of its own.
dbt: setup $(DBT)/.ready ## Build the dbt package over a local BigQuery, and let GoogleSQL judge it (needs the network once).
	@PARLEY_DBT=$(DBT)/bin/dbt $(BIN)/python -m pytest tests/deploy/test_dbt.py

$(DBT)/.ready: | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(DBT)
	@$(BIN)/uv pip install --quiet --python $(DBT)/bin/python dbt-core==$(DBT_VERSION) dbt-bigquery==$(DBT_BIGQUERY_VERSION)
	@touch $@

terraform: setup ## Validate and plan deploy/terraform without a cloud, for its tests (needs Terraform 1.9).
	@$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with tf==1.2.0 tests/deploy/terraform_plan.py

flink: $(RUNNERS)/pyflink $(RUNNERS)/job-server/job-server.jar ## Run a local Flink cluster until Ctrl-C (needs Java 17 and Maven).
	@$(BIN)/python -m tests.runners.flink_cluster

runners: $(RUNNERS)/prism $(RUNNERS)/pyflink $(RUNNERS)/job-server/job-server.jar

$(RUNNERS)/prism: requirements.lock | setup
	@GOBIN=$(abspath $(RUNNERS)) go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$$( \
		$(BIN)/python -c 'import importlib.metadata as m; print(m.version("apache-beam"))')
	@touch $@

$(RUNNERS)/pyflink: | setup
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(RUNNERS) \
		apache-flink-libraries==$(FLINK_VERSION)

$(RUNNERS)/job-server/job-server.jar: tests/runners/pom.xml
	@mvn --quiet --batch-mode --file $< package

lint: setup ## Check style, types, and who imports whom.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tests/docs/rooms.py --check

# Of what the images install; of what the tests need besides, nothing is ever deployed.
sbom: setup ## Write a bill of materials (CycloneDX) of each image's packages to build/sbom.
	@mkdir -p build/sbom
	@for part in receiver sender dataflow; do \
		$(BIN)/uv pip compile --quiet --python-version 3.11 --extra $$part --constraint requirements.lock \
			--no-annotate --no-header --no-emit-index-url --output-file build/sbom/$$part.txt setup.py && \
		$(BIN)/uv tool run --quiet --python $(BIN)/python --from cyclonedx-bom==$(CYCLONEDX_VERSION) cyclonedx-py \
			requirements build/sbom/$$part.txt --output-reproducible --output-file build/sbom/$$part.json || exit 1; \
	done

audit: sbom ## Look for known vulnerabilities of these packages (needs the network).
	@for part in receiver sender dataflow; do \
		$(BIN)/uv tool run --quiet --python $(BIN)/python pip-audit==$(PIP_AUDIT_VERSION) --strict --no-deps \
			--disable-pip --requirement build/sbom/$$part.txt || exit 1; \
	done

widget: ## Build the chat widget from its sources (needs Node.js 20 and npm).
	@cd receiver/chatplugin/ui && npm ci --ignore-scripts && npm test && npm run check && npm run build

clean: ## Remove everything that was made here.
	@rm -rf $(VENV) .parley build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis receiver/chatplugin/ui/node_modules
