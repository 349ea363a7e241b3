# Two commands do all the set-up: `make demo` and `make test`. Both build the environment first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: env demo test lint docs bench clean

env: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --upgrade pip
	@# torch first and alone: its pin keeps later packages from choosing another build.
	$(BIN)/pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	touch .venv/ready

demo: env
	$(BIN)/augmentor demo -o demo

test: env
	$(BIN)/pytest

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: env
	$(BIN)/python -m benchmarks.gan compare
	$(BIN)/python -m benchmarks.fill slices
	$(BIN)/python -m benchmarks.fill clouds
	$(BIN)/python -m benchmarks.fill alone
	$(BIN)/python -m benchmarks.fill table

clean:
	rm -rf .venv demo site
