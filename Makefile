# SPDX-License-Identifier: GPL-2.0-or-later
# From a fresh clone to a result: `make demo` runs the main experiment, `make test` the whole test suite.

VENV := .venv
WHEEL := .nest-wheel
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
IS_311 := import sys; sys.exit(sys.version_info[:2] != (3, 11))
# The first of these that runs and is Python 3.11; empty if none is.
PYTHON ?= $(shell for p in python3.11 python3; do $$p -c '$(IS_311)' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
# All steps write into the same environment.
.NOTPARALLEL:
.PHONY: help setup demo nest-mpi wheel test nest-examples clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/.setup ## create .venv with cosim, NEST's wheel and an MPI library; build nestlink
	@$(PY) -m cosim.engines.nest.nestlink.build

demo: setup ## set up, then run the mouse: motor cortex drives the forelimb
	$(VENV)/bin/mpiexec -n 2 $(PY) run.py mouse_m1

nest-mpi: $(VENV)/.setup ## replace NEST in .venv by a build with MPI (40 CPU-minutes, once per machine)
	@$(PY) -m cosim.tools.setup nest-mpi
	@$(PY) -m cosim.engines.nest.nestlink.build

# With this folder first on PYTHONPATH, `import nest` takes the wheel also after `make nest-mpi`.
wheel: $(WHEEL)/.done ## keep NEST's wheel, without MPI, in .nest-wheel beside the NEST of .venv
	@PYTHONPATH=$(CURDIR)/$(WHEEL) $(PY) -m cosim.engines.nest.nestlink.build

test: nest-mpi wheel $(VENV)/.test ## set up what is missing, then run the whole test suite
	tests/run_all.sh

nest-examples: setup $(VENV)/.test ## run each of NEST's example scripts as a brain (a quarter of an hour)
	$(PY) -m pytest tests/test_nest_examples.py -m nest_examples --timeout=300 -p no:cacheprovider

clean: ## remove the environments of this clone; built NEST wheels stay in the user's cache
	rm -rf $(VENV) $(WHEEL) build *.egg-info .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# pip leaves a NEST of the right version alone, so the build with MPI stays when this runs again.
$(VENV)/.setup: pyproject.toml
	@test -n "$(PYTHON)" || { echo "cosim needs Python 3.11 (PyBullet has no wheels for later ones), found" \
	    "$$(python3 --version 2>&1). Install it, or name one: make setup PYTHON=/path/to/python3.11" >&2; \
	    exit 1; }
	$(PYTHON) -m cosim.tools.setup packages
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e ".[mpich]"
	@touch $@

$(VENV)/.test: $(VENV)/.setup
	$(PIP) install -e ".[mpich,test]"
	@touch $@

$(WHEEL)/.done: $(VENV)/.setup
	$(PY) -m cosim.tools.setup wheel $(WHEEL)
	@touch $@
