# Everything sets itself up: `make demo` and `make test` need Python 3.11 or later, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint figures clean help

help:
	@echo "make demo     measure the embedded network: table, figures (writes demo/)"
	@echo "make test     lint, types and all tests"
	@echo "make figures  redraw the README's picture (needs the real data)"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/differentia demo --out demo

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

figures: $(READY)
	$(BIN)/python docs/draw_readme_figure.py

clean:
	rm -rf $(VENV) demo
