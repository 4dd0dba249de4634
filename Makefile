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
.PHONY: help setup demo nest-mpi wheel lint check test originals nest-examples docs release clean

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

lint: $(VENV)/.test ## look at formatting, at what the linter finds, and at types
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy

check: setup lint ## what to run before every commit: lint and the fast tests (3 minutes on two cores)
	$(PY) -m pytest -q -n 2 -m "not mpi and not slow and not starts" --timeout=120 -p no:cacheprovider

test: nest-mpi wheel lint $(VENV)/.test docs ## set up what is missing, then run the whole test suite
	tests/run_all.sh

docs: $(VENV)/.docs ## build the documentation into build/site; a warning or a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict

release: $(VENV)/.release ## build wheel and source distribution of the tagged version into dist
	@$(PY) -m cosim.tools.setup release
	$(PY) -m build --outdir dist

NEST_SOURCES := build/nest-sources
# What nestlink copies from NEST, against NEST's sources (36 MB from PyPI, once).
originals: $(NEST_SOURCES)/VERSION $(VENV)/.test ## compare functions that follow NEST's with NEST's sources
	COSIM_NEST_SOURCES=$(CURDIR)/$(NEST_SOURCES) $(PY) -m pytest -q -p no:cacheprovider tests/test_nestlink_sources.py

nest-examples: setup $(VENV)/.test ## run each of NEST's example scripts as a brain (a quarter of an hour)
	$(PY) -m pytest tests/test_nest_examples.py -m nest_examples --timeout=300 -p no:cacheprovider

$(NEST_SOURCES)/VERSION: pyproject.toml | $(VENV)/.setup
	mkdir -p $(@D)
	$(PIP) download -q --no-deps --no-binary nest-simulator --dest $(@D) \
	    "$$($(PY) -c 'from cosim.tools.setup.nest import requirement; print(requirement())')"
	tar --extract --strip-components=1 --touch --directory $(@D) --file $(@D)/nest_simulator-*.tar.gz

clean: ## remove the environments of this clone; built NEST wheels stay in the user's cache
	rm -rf $(VENV) $(WHEEL) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
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

$(VENV)/.docs: $(VENV)/.setup
	$(PIP) install -e ".[mpich,docs]"
	@touch $@

$(VENV)/.release: $(VENV)/.setup
	$(PIP) install build
	@touch $@

$(WHEEL)/.done: $(VENV)/.setup
	$(PY) -m cosim.tools.setup wheel $(WHEEL)
	@touch $@
