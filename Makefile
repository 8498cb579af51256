# Two commands do everything on a fresh Debian machine: `make demo` and `make test`.
# Set-up (system packages, virtual environment, CPU build of torch) happens once.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := torch==2.13.0
# PyTorch's own index of CPU builds, asked only where the +cpu build is not at hand.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

# Qt and OpenGL by software, and a screen that needs no monitor.
SYSTEM_PACKAGES := python3-venv xvfb xauth libegl1 libgl1 libopengl0 libgl1-mesa-dri \
  libglx-mesa0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 \
  libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 libfontconfig1

SCREEN := xvfb-run -a -s "-screen 0 1600x1000x24"

.PHONY: install system demo test lint test-core test-gui test-gui-odd test-gui-even bench docs clean

install: $(READY)

system:
	@bash scripts/install_system_packages.sh $(SYSTEM_PACKAGES)

$(READY): pyproject.toml constraints.txt Makefile | system
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -c "import torch" 2>/dev/null \
	  || $(BIN)/python -m pip install -q "$(TORCH)+cpu" 2>/dev/null \
	  || $(BIN)/python -m pip install -q "$(TORCH)+cpu" --extra-index-url $(TORCH_CPU_INDEX) 2>/dev/null \
	  || $(BIN)/python -m pip install -q "$(TORCH)"
	@$(BIN)/python -m pip install -q -c constraints.txt -e ".[all,bioimageio,dev]"
	@touch $(READY)

demo: install
	@$(BIN)/python scripts/demo.py

# Windows wait more than they compute, so all of it runs at once; each part of the windows has a
# screen of its own.
test: install
	@$(MAKE) --no-print-directory --output-sync=target --jobs=4 lint test-core test-gui-odd test-gui-even

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# No Qt, no napari: what is not a window must work without one.
test-core: install
	@EMSEG_BLOCK_QT=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --ignore tests/gui -p no:pytest-qt -p no:napari -n 2 --dist loadfile

test-gui: install
	@$(SCREEN) $(BIN)/python -m pytest tests/gui

test-gui-odd test-gui-even: test-gui-%: install
	@$(SCREEN) $(BIN)/python -m pytest $$(ls tests/gui/test_*.py | awk 'NR % 2 == ("$*" == "odd")')

bench: install
	@$(BIN)/python -m pip install -q -c constraints.txt -e ".[bench]"
	@bash scripts/run_benchmarks.sh $(BIN)/python

docs: install
	@$(SCREEN) $(BIN)/python scripts/render_docs_pictures.py

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache
