# Everything here is thin: the logic lies in tools/setup_env.py and in sssd.
SHELL  := /bin/bash
PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.up-to-date
TESTS  ?= tests
JOBS   ?= 2

# One thread per process: the tests start several and the models are tiny.
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help env test bench campaign demo docs features lint clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

env: $(STAMP) ## build .venv, or bring it up to date (compiles mmcv's operators: minutes the first time)

$(STAMP): constraints.txt pyproject.toml tools/setup_env.py
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found: install Python 3.10 or newer, or name one with 'make env PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) tools/setup_env.py $(VENV)
	@touch $@

test: $(STAMP) ## run the tests, two files at a time (TESTS=tests/cli for a part of them, JOBS=0 for no workers)
	@$(THREADS) $(PY) -m pytest $(TESTS) -q -n $(JOBS) --dist loadfile --durations=5 $(PYTEST_ARGS)

campaign: $(STAMP) ## kill a hundred trainings and compare how they end after --resume, for the night (CAMPAIGN_ARGS='--number 20 --seed 1')
	@$(THREADS) $(PY) benchmarks/reliability_campaign.py $(CAMPAIGN_ARGS)

bench: $(STAMP) ## every benchmark, one after the other (BENCH="--device cuda", BENCH=--quick to see whether they run)
	@set -e; for script in $$(grep -lE '^import _timing' benchmarks/*.py); do echo "== $$script"; $(PY) $$script $(BENCH); done
	@$(PY) benchmarks/tables.py

demo: $(STAMP) ## train and compare on a toy data set, on the CPU
	@$(PY) -m sssd demo

docs: $(STAMP) ## build the documentation as a site, build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet
	@echo "build/site/index.html"

features: $(STAMP) ## get ImageNet features for the studies on photographs (8 MB, from pip's index)
	@$(PY) -m sssd features

lint: $(STAMP) ## style, common mistakes and format (ruff; `ruff format` mends the last)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo "error: some files are not formatted: run '$(PY) -m ruff format .'" >&2; exit 1; }

clean: ## remove caches, not the environment
	@rm -rf .pytest_cache .ruff_cache build *.egg-info
	@find sssd tests tools configs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

include docker/docker.mk
