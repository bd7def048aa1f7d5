# Mayfly: `make help` lists the targets. Python 3.11+ and make are all that it takes.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRITON := .tools/triton
EXTRAS := gateway,ingest,render,purge,auditor,tracing,clients,inspect,local,demo,report,dev
ALONGSIDE := tests/unit tests/engines
PHOTO ?=
OUT ?= out
# Models and state belong to this checkout; nothing else on the machine is touched.
export MAYFLY_MODEL_DIR := $(CURDIR)/.models
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status gameday audit observe observe-check triton test test-fast lint format protos protos-check scenes dashboards metrics policy model bench clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Build the environment: packages at pinned versions, and the model
	@echo "ready: $(BIN)/mayfly --help"

$(READY): pyproject.toml constraints.txt services/render/models.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than Python 3.11; set PYTHON=" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing packages (about a minute the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@$(BIN)/python -m services.render.models fetch $(MAYFLY_MODEL_DIR)
	@touch $@

demo: $(READY) ## Make two pictures of a real photo and show what became of it (PHOTO=path for your own)
	@$(BIN)/mayfly demo $(if $(PHOTO),"$(PHOTO)") --output "$(OUT)"

up: $(READY) ## Start the mesh on this machine
	@$(BIN)/mayfly up

down: $(READY) ## Stop it
	@$(BIN)/mayfly down

status: $(READY) ## Where the photos are now
	@$(BIN)/mayfly status

gameday: $(READY) ## Break a mesh of its own three times and walk the runbooks, until the pager says that it is over
	@$(BIN)/python -m tests.gameday

audit: $(READY) ## Send 100 canaries through a mesh of its own and search everything for what is left (CANARIES=)
	@$(BIN)/mayfly audit --state "$${MAYFLY_STATE:-.mayfly}" --canaries $(or $(CANARIES),100)

observe: $(READY) ## A mesh with Prometheus, Alertmanager, dashboards and photos, until Ctrl-C
	@$(BIN)/mayfly observe --state "$${MAYFLY_STATE:-.mayfly}"

observe-check: $(READY) ## The same for a minute: every panel and alert is looked at, one alert is caused; one line of figures
	@$(BIN)/mayfly observe --check --state "$${MAYFLY_STATE:-.mayfly}"

triton: $(TRITON)/.ready ## Build the environment of a Triton server, in which tests of the engine `triton` run theirs
	@echo "ready: $(TRITON)/bin/python deploy/triton/serve.py --help"

$(TRITON)/.ready: deploy/triton/requirements.txt deploy/triton/serve.py
	@test -x $(TRITON)/bin/python || $(PYTHON) -m venv $(TRITON)
	@echo "installing Triton (150 MB, about a minute the first time) …"
	@$(TRITON)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/triton/requirements.txt
	@$(TRITON)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps nvidia-pytriton==0.7.0
	@$(TRITON)/bin/python deploy/triton/serve.py --prepare
	@touch $@

# Units and engines on all cores, file by file; then, one by one, what starts meshes and watches clocks.
test: $(READY) ## Pass everything: units, the mesh in one process, real processes with a real Valkey
	@failed=0; \
	PYTHONHASHSEED=0 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ALONGSIDE) || failed=1; \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(ALONGSIDE)) || failed=1; \
	exit $$failed

test-fast: $(READY) ## Only what needs no processes
	@PYTHONHASHSEED=0 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile tests/unit

model: $(READY) ## Look for stories of crashes and failovers that break a promise of purge (FOR=seconds)
	@$(BIN)/python -m tests.unit.services.purge.model.story $(or $(FOR),600)
	@MAYFLY_MODEL_EXAMPLES=2000 $(BIN)/python -m pytest -q tests/unit/services/purge/test_model.py

lint: $(READY) ## Style, types, layers, and Prometheus's rules where promtool is there
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m deploy.dashboards --check
	@$(BIN)/python -m tools.metrics --check
	@$(BIN)/python -m tools.policy --check
	@if command -v promtool >/dev/null; then promtool check rules --lint-fatal deploy/prometheus/rules.yml >/dev/null; \
	else echo "rules.yml was not checked: no promtool (Debian: prometheus)"; test -z "$$MAYFLY_NO_SKIP"; fi

format: $(READY) ## Rewrite the code in the house's format
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

protos: $(READY) ## Generate the stubs from protos/
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.protos

protos-check: $(READY) ## Check that the stubs are what protos/ says
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.protos --check

dashboards: $(READY) ## Generate the dashboards, for Grafana and as Prometheus's consoles, from their code
	@$(BIN)/python -m deploy.dashboards

metrics: $(READY) ## Write docs/metrics.md, the list of all metrics
	@$(BIN)/python -m tools.metrics

policy: $(READY) ## Write docs/policy-matrix.md: each promise, and what keeps it
	@$(BIN)/python -m tools.policy

scenes: $(READY) ## Draw the contact sheet of all scenes, and the previews that are not up to date
	@$(BIN)/python -m services.render.contact_sheet $(if $(PHOTO),"$(PHOTO)") -o "$(OUT)/scenes.jpg"
	@$(BIN)/python -m services.render.previews

bench: $(READY) ## Measure: the mesh, memory per photo in flight, the scrub beside its peers, purge, marks, residue
	@$(BIN)/python -m benchmarks.mesh
	@$(BIN)/python -m benchmarks.scrub
	@$(BIN)/python -m benchmarks.purge
	@$(BIN)/python -m benchmarks.forgetting
	@$(BIN)/python -m benchmarks.marking
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@$(BIN)/python -m benchmarks.residue

clean: ## Remove what make has made
	rm -rf $(VENV) .models .mayfly $(OUT) .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis
