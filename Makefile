# The two commands of the README, and what they share. Each does all its own set-up.
.PHONY: demo test setup check
BIN := .venv/bin

demo: setup
	$(BIN)/videosim demo

test: setup check
	$(BIN)/python -m pytest -m "not slow" -q

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/.videosim-setup

.venv/.videosim-setup: pyproject.toml scripts/setup scripts/choose_torch.py
	scripts/setup
