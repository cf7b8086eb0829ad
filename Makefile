# The two commands of the README, and what they share. Each does all its own set-up.
.PHONY: demo test setup check bundle
BIN := .venv/bin
WORLD := cartpole-swingup
FRAMES := 100000

demo: setup
	$(BIN)/videosim demo

test: setup check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -q -n auto --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/.videosim-setup

.venv/.videosim-setup: pyproject.toml scripts/setup scripts/choose_torch.py
	scripts/setup

# The bundled model of a world, from nothing: `make bundle WORLD=push`.
bundle: setup
	$(BIN)/videosim collect world=$(WORLD) frames=$(FRAMES)
	$(BIN)/videosim train data=data/$(WORLD)
	rm -rf videosim/assets/$(WORLD)
	cp -r runs/train/$(WORLD)/checkpoint videosim/assets/$(WORLD)
