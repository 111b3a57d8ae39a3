# The README's commands. Each makes the virtual environment first if it is not there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup bench test lint perf report sota docs bench-check baseline clean

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
	$(BIN)/python -m tests.perf
	$(BIN)/python tests/perf/end_to_end.py
	$(BIN)/python -m pytest tests/perf/test_ab.py

report: $(READY)
	$(BIN)/zoobench report --generated reports/generated
	$(BIN)/zoobench plot --store reports/baselines/complexity.csv --table focalnet --out reports/generated

# The networks of the published tables on this machine's GPU, and FocalNet's Table 1 with their
# images/s: the ratios to ResNet-50 are judged. A row that failed does not keep the table back.
SOTA_FLAGS ?= --device cuda
sota: $(READY)
	$(BIN)/zoobench run --manifest sota --figures speed --precision amp --batch 128 $(SOTA_FLAGS); \
	status=$$?; $(BIN)/zoobench report --table focalnet && exit $$status

# Runs the examples of the README and of docs/.
docs: $(READY)
	$(BIN)/python -m pytest tests/test_docs.py

# What CI calls: the embedded zoo, measured afresh, without cached pixels, against reviewed numbers.
BASELINE := reports/baselines/sample
COMPARE_FLAGS ?=
bench-check: $(READY)
	rm -rf build/bench-check
	$(BIN)/zoobench run --cache-size 0 --store build/bench-check
	$(BIN)/zoobench compare build/bench-check --baseline $(BASELINE) $(COMPARE_FLAGS)

# One run more for the reviewed numbers, to be committed; five of a row make its noise band.
baseline: $(READY)
	rm -rf build/baseline
	$(BIN)/zoobench run --cache-size 0 --store build/baseline
	$(BIN)/zoobench compare build/baseline --baseline $(BASELINE) --update

clean:
	rm -rf $(VENV) build dist *.egg-info zoobench-results .pytest_cache .mypy_cache .ruff_cache perf.json
