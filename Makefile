# Everything sets itself up: `make demo` and `make test` need Python 3.11 or later, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE := $(VENV)/.has-package
READY := $(VENV)/.has-dev
TESTS := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Compiled modules are kept, whatever the environment says: each process of the tests would compile them anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo check test wheel soak lint style docs linkcheck figures commands coverage bench clean help

help:
	@echo "make demo     measure the embedded network: table, figures, report (writes demo/)"
	@echo "make check    lint, types and the quick tests (three minutes)"
	@echo "make test     lint, types and all tests (eleven minutes)"
	@echo "make wheel    build sdist and wheel, and run the demo of the installed wheel (under a minute)"
	@echo "make soak     all tests of faults, and of large networks; writes three pages (more than half an hour)"
	@echo "make docs     build the documentation site (docs/_build/html/index.html)"
	@echo "make linkcheck  follow the documentation's links to other sites (needs a network)"
	@echo "make figures  redraw the pictures and write the tables of units, bfloat16, depth, sets, trials, fMRI and repeats (needs the real data, chromium)"
	@echo "make commands write docs/commands.md from the help texts"
	@echo "make coverage simulate how often intervals hold the truth; writes docs/coverage.md (an hour; real data)"
	@echo "make bench    time and memory, side by side with the bare pass; writes docs/performance.md (hours)"

# Shows what is collected and installed; a pipe's exit status is its last command's, so the file tells of success.
define install
	@echo "Setting up $(VENV), once: $(2)"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@($(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '$(1)' && touch $@) \
	  | grep -E '^(Collecting|Installing|Successfully)' | cut -c 1-100; test -e $@
endef

$(PACKAGE): pyproject.toml constraints.txt
	$(call install,.,the package)

$(READY): pyproject.toml constraints.txt
	$(call install,.[dev],the package and what tests and documentation need)

demo: $(PACKAGE)
	$(BIN)/differentia demo --out demo

style: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint: style
	$(BIN)/mypy

# Tests side by side, a thread each, because threads of several processes wait for each other. mypy runs beside them:
# alone it would keep one core for a minute where it has no cache. What it says comes last, and either fails the whole.
define test
	@echo "mypy and the tests, side by side"
	@types="$$(mktemp)"; $(BIN)/mypy >"$$types" 2>&1 & \
	  OMP_NUM_THREADS=1 $(TESTS) $(1); tests=$$?; wait $$!; mypy=$$?; \
	  echo "mypy:"; cat "$$types"; rm "$$types"; exit $$((tests | mypy))
endef

check: style
	$(call test,-m "not (slow or browser or real_data or soak)")

test: style
	$(call test,)

wheel: $(READY)
	.ci/try_wheel $(BIN)/python

soak: $(READY)
	$(BIN)/python docs/write_reliability.py
	$(BIN)/python docs/write_networks.py
	OMP_NUM_THREADS=1 $(BIN)/python docs/write_security.py
	OMP_NUM_THREADS=1 $(TESTS) -m soak --ignore tests/test_reliability.py --ignore tests/test_random_runs.py --ignore tests/test_zoo.py --ignore tests/security

# -n: every reference has to lead somewhere; -W --keep-going: a warning is an error, after all were shown.
docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -n -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

# The links to other sites. They need a network, and others' sites fail now and then: so CI leaves it out.
linkcheck: $(READY)
	$(BIN)/python -m sphinx -b linkcheck -W --keep-going -q docs docs/_build/linkcheck

figures: $(READY)
	$(BIN)/python docs/draw_readme_figure.py
	$(BIN)/python docs/draw_residual_figure.py
	$(BIN)/python docs/write_unit_kinds.py
	$(BIN)/python docs/write_sketch_accuracy.py
	$(BIN)/python docs/write_bfloat16.py
	$(BIN)/python docs/write_depth.py
	$(BIN)/python docs/write_between.py
	$(BIN)/python docs/write_trials.py
	$(BIN)/python docs/write_neurons.py
	OMP_NUM_THREADS=1 $(BIN)/python docs/write_repeats.py
	$(BIN)/python docs/draw_report_picture.py
	$(BIN)/python docs/write_tutorial_page.py
	$(BIN)/python docs/write_gallery.py

commands: $(READY)
	$(BIN)/python docs/write_command_reference.py

# A thread each, because threads of several processes wait for each other.
coverage: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python docs/write_coverage.py

bench: $(READY)
	$(BIN)/python benchmarks/vgg16.py --large --json benchmarks/results/vgg16.json
	$(BIN)/python benchmarks/photographs.py --json benchmarks/results/photographs.json
	$(BIN)/python benchmarks/many_files.py --json benchmarks/results/many_files.json
	$(BIN)/python benchmarks/growth.py --json benchmarks/results/growth.json
	$(BIN)/python benchmarks/distances.py --json benchmarks/results/distances.json
	$(BIN)/python benchmarks/cluster.py --json benchmarks/results/cluster.json
	$(BIN)/python benchmarks/cluster_recording.py --json benchmarks/results/cluster_recording.json
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/tokens.py
	$(BIN)/python benchmarks/operations.py
	$(BIN)/python benchmarks/probes.py
	$(BIN)/python benchmarks/sets.py
	$(BIN)/python benchmarks/neurons.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python docs/write_performance.py

clean:
	rm -rf $(VENV) demo docs/_build
