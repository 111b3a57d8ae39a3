# The README's commands. Each makes the virtual environment first if it is not there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup bench test lint perf report clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[sample,dev]'
	touch $@

bench: $(READY)
	$(BIN)/zoobench run

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

perf: $(READY)
	$(BIN)/python tests/perf/end_to_end.py

report: $(READY)
	$(BIN)/zoobench report --generated reports/generated
	$(BIN)/zoobench plot --store reports/baselines/complexity.csv --table focalnet --out reports/generated

clean:
	rm -rf $(VENV) build dist *.egg-info zoobench-results .pytest_cache .mypy_cache .ruff_cache
