# `make demo` shows what the package does; `make test` runs everything that checks it.
# Both work in .venv, which they create, with the versions in constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test clean

demo: .venv/installed
	$(BIN)/gaintuning demo --force

# One thread each: several workers that each use all cores would only get in each other's way.
test: .venv/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --maxprocesses 8 --dist worksteal

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "constraints.txt needs Python 3.11 or newer; name one, as in: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# A change of the sources needs no new installation; a change of these two files does.
.venv/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable .
	touch $@

.venv/installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[test]'
	$(INSTALL) --no-deps temul-toolkit # for its two micrographs; none of its code is run
	touch .venv/installed $@
