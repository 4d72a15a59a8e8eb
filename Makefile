# `make demo` and `make test` do everything on a fresh machine: environment, install, run.
# Needs Python 3.11+ and a package registry; nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_WAIT_POLICY := passive  # a second torch process on few cores stalls the first without it

.PHONY: demo test lint types check fuzz fuzz-short system examples bench docs clean

demo: $(VENV)/.installed
	$(BIN)/coview demo --out demo

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile  # one process per core: threads only wait

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell

types: $(VENV)/.installed-dev
	$(BIN)/mypy

check: lint types test

# Damaged files for every reader: until something fails, and for two minutes.
fuzz: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --out fuzz

fuzz-short: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --out fuzz --runs 300  # the same inputs on any machine: about a minute

examples: $(VENV)/.installed-dev
	for example in examples/[0-9]*.py; do echo "== $$example"; $(BIN)/python $$example || exit 1; done

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/triangulation.py
	$(BIN)/python benchmarks/adjustment.py
	$(BIN)/python benchmarks/lifting.py
	$(BIN)/python benchmarks/rendering.py

# The pages that follow from code and measurements, then the site in docs/_build/html; the notebooks are executed.
docs: $(VENV)/.installed-docs
	$(BIN)/python docs/generate.py
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -W --keep-going -q -j 2 docs docs/_build/html

# System packages that a few tests want; without them just those tests skip, saying why.
system:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium libegl1 libegl-mesa0 libgl1-mesa-dri

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[view,mocap,synth]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[view,mocap,synth,geometry,exports,dev]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[view,mocap,synth,docs]'
	touch $@

clean:
	rm -rf $(VENV) demo dist docs/_build .pytest_cache .mypy_cache .ruff_cache
