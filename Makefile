# Every target prepares what it needs in .venv by itself, and does nothing of that when it is already there.
# Needed on the machine: make, Python 3.11 or newer, a package index on the first run. Another Python: make PYTHON=...

BIN := .venv/bin
RUN := .venv/.ready-run
DEV := .venv/.ready-dev
export PYTHON

# In CI the tests that ask the real embedded model run too: there a missing model is a failure, not a reason to skip.
ifdef CI
QUICK := not slow and not hunting
else
QUICK := not slow and not hunting and not live_embedded
endif
# One more than there are cores: many tests wait for processes that they have started.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Compiled first: tests start hundreds of processes, also where Python may write no caches.
PYTEST := $(BIN)/python -m compileall -q src examples && \
  PYTEST_XDIST_AUTO_NUM_WORKERS=$(WORKERS) $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: help demo test test-all check format bench setup browser lock clean

help:                ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 18

demo: $(RUN)         ## watch real tickets worked through by a real language model on this machine
	@$(BIN)/surefoot demo

test: check          ## the checks, and all tests but the long ones
	@$(PYTEST) -o faulthandler_timeout=240 -m "$(QUICK)"

test-all: check      ## the checks, and every test: slow, on the embedded model, hunting
	@$(PYTEST)

check: $(DEV)        ## style, types, and the floors that imports must keep to
	@scripts/check

format: $(DEV)       ## let ruff put the code in order
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench: $(RUN)        ## measure what we claim about speed
	@$(BIN)/python -m benchmarks

setup: $(DEV)        ## only prepare .venv, for work in an editor

browser:             ## install chromium for the tests of the console, where apt is at hand
	@scripts/browser

lock: $(DEV)         ## write the lock files anew (UPGRADE=1: with the newest versions)
	@scripts/lock $(if $(UPGRADE),--upgrade)

clean:               ## remove .venv, caches and builds; never a store with runs in it
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): pyproject.toml requirements/run.txt requirements/embedded.txt scripts/setup
	@scripts/setup run

$(DEV): pyproject.toml requirements/dev.txt requirements/embedded.txt scripts/setup
	@scripts/setup dev
