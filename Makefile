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

$(VENV)/.trace: $(VENV)/.check
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[trace]"
	@touch $@

$(VENV)/.dev: $(VENV)/.trace
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]" tqdm
	# The mup package asks for torchvision, which its modules do not need.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "mup==1.0.0"
	@touch $@

setup: $(VENV)/.dev

# The whole story on a copy of the example: what is wrong, measured; the patch, proved; and the same again.
DEMO := $(VENV)/demo
MULINT := $(abspath $(BIN))/mulint
demo: $(VENV)/.trace
	@rm -rf $(DEMO) && cp -r fixtures/gpt $(DEMO)
	@sed -i.bak 's/  # expect: .*//' $(DEMO)/*.py && rm $(DEMO)/*.bak  # marks for the tests
	cd $(DEMO) && $(MULINT) check .
	cd $(DEMO) && $(MULINT) trace model.py:GPT || [ $$? -eq 1 ]
	cd $(DEMO) && $(MULINT) fix --diff .
	cd $(DEMO) && $(MULINT) fix --verify .
	cd $(DEMO) && $(MULINT) check .
	cd $(DEMO) && $(MULINT) trace model.py:GPT

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
