# SPDX-License-Identifier: GPL-2.0-or-later
# Everything cosim needs, from a fresh clone: `make demo` runs the main experiment, `make test` the whole suite.

VENV := .venv
WHEEL := .nest-wheel
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
IS_311 := import sys; sys.exit(sys.version_info[:2] != (3, 11))
# The first of these that runs and is Python 3.11; empty if none is.
PYTHON ?= $(shell for p in python3.11 python3; do $$p -c '$(IS_311)' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo nest-mpi wheel test clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(VENV)/.nestlink ## create .venv with cosim, NEST's wheel and an MPI library; build nestlink

demo: setup ## set up, then run the mouse: motor cortex drives the forelimb
	$(VENV)/bin/mpiexec -n 2 $(PY) run.py mouse_m1

nest-mpi: $(VENV)/.nest-mpi ## replace NEST in .venv by a build with MPI (about 40 CPU-minutes, once per machine)
	@$(MAKE) --no-print-directory setup

wheel: $(WHEEL)/.nestlink ## NEST's wheel in a folder of its own: PYTHONPATH=.nest-wheel .venv/bin/python ...

test: nest-mpi wheel $(VENV)/.test ## set up what is missing, then run the whole test suite
	tests/run_all.sh

clean: ## remove the environments and caches of this clone; built NEST wheels stay in the user's cache
	rm -rf $(VENV) $(WHEEL) build *.egg-info .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.setup: pyproject.toml
	@test -n "$(PYTHON)" || { echo "cosim needs Python 3.11 (PyBullet has wheels for no later one);" \
	    "found: $$(python3 --version 2>&1). Install it, or name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m cosim.setup packages
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e ".[mpich]"
	touch $@

$(VENV)/.test: $(VENV)/.setup
	$(PIP) install -e ".[mpich,test]"
	touch $@

$(VENV)/.nest-mpi: $(VENV)/.setup
	$(PY) -m cosim.setup nest-mpi
	touch $@

# nestlink fits one NEST only: it is built again when its own sources change and when NEST was replaced.
NESTLINK := $(wildcard cosim/brain/nestlink/*.cpp cosim/brain/nestlink/*.h cosim/brain/nestlink/*.py)

$(VENV)/.nestlink: $(VENV)/.setup $(wildcard $(VENV)/.nest-mpi) $(NESTLINK)
	$(PY) -m cosim.brain.nestlink.build
	touch $@

$(WHEEL)/.nest: $(VENV)/.setup
	$(PY) -m cosim.setup wheel $(WHEEL)
	touch $@

$(WHEEL)/.nestlink: $(WHEEL)/.nest $(NESTLINK)
	PYTHONPATH=$(WHEEL) $(PY) -m cosim.brain.nestlink.build
	touch $@
