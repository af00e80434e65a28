# `make demo` and `make test` set up what they need and run on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The exact version keeps continuous integration on one build of torch; users may install any torch >= 2.1.
TORCH ?= torch==2.13.0

.PHONY: demo test lint types unit setup clean

$(VENV)/.check: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.check
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev,trace]" pyyaml tqdm
	# The mup package asks for torchvision, which its modules do not need.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "mup==1.0.0"
	@touch $@

setup: $(VENV)/.dev

demo: $(VENV)/.check
	cd fixtures/gpt && ../../$(BIN)/mulint check .

test: lint types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check mulint tests benchmarks
	$(BIN)/ruff format --check mulint tests benchmarks

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/pytest -n 2

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
