# `make demo` trains a small pretrained model by its reward; `make test` checks the project. Both make the environment first.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# A GPU machine takes the CUDA build of torch; any other takes the CPU build, which is far smaller.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# What to say before the default build of torch is taken on a machine without a GPU.
DEFAULT_BUILD := $(if $(filter x86_64,$(shell uname -m)),about 3 GB to download and 6 GB on disk with its CUDA libraries,several hundred MB)

.PHONY: help env demo test test-slow learn-check gpu test-pythons docs lint format clean

help:  ## what each command does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

env: $(VENV)/.ready  ## the environment, in .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making the environment in $(VENV) ($(if $(GPU),CUDA,CPU) build of torch $(TORCH)); a few minutes the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@if [ -n "$(GPU)" ]; then $(PIP) torch==$(TORCH); \
	 elif [ "$$(uname -s)" = Darwin ]; then $(PIP) torch==$(TORCH); \
	 else $(PIP) torch==$(TORCH)+cpu 2>/dev/null \
	  || $(PIP) torch==$(TORCH) --index-url $(TORCH_CPU_INDEX) --retries 1 --timeout 20 2>/dev/null \
	  || { echo "The CPU build of torch can't be had from $(TORCH_CPU_INDEX). Taking the default build: $(DEFAULT_BUILD)."; \
	   $(PIP) torch==$(TORCH); }; fi \
	 || { echo "torch $(TORCH) could not be installed. Check the network and the free disk (1 GB for CPU, 8 GB for CUDA), then run make again."; exit 1; }
	@$(PIP) --editable '.[dev]' || { echo "The dependencies could not be installed. Check the network and the free disk, then run make again."; exit 1; }
	@mkdir -p $(VENV)/types/palaestra
	@for part in palaestra/__init__.py palaestra/py.typed sandbox verifiers tasks trainer; do \
	 ln -sfn ../../../$$part $(VENV)/types/palaestra/; done  # the package as it is installed, for the type checker
	@touch $@

demo: env  ## GRPO makes a real pretrained model answer small sums; pass-rates before and after
	@$(BIN)/palaestra demo

test: env lint  ## format, lint, types and the tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-slow: env  ## the tests that take minutes
	@$(PIP) --editable '.[docs]'
	@$(BIN)/python -m pytest -m slow

test-pythons:  ## the tests that need no torch, on each Python 3.11 or newer that is here; PYTHONS="..." names them
	@$(PYTHON) .ci/pythons.py $(PYTHONS)

docs: env  ## the site, in site/; open site/index.html
	@$(PIP) --editable '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/: open site/index.html"

learn-check: env  ## does it still learn? three small runs against recorded ones, before a release
	@$(BIN)/python benchmarks/learn_check.py

gpu:  ## all that only a GPU can say, in nine minutes, into benchmarks/gpu.md; GPU_ARGS="--model FOLDER --wheels FOLDER"
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) benchmarks/gpu.py $(GPU_ARGS)

lint: env
	@$(BIN)/ruff format --check . || { echo "Run 'make format', then again."; exit 1; }
	@$(BIN)/ruff check .
	@$(BIN)/pyrefly check --summary=none

format: env  ## format the code
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

clean:  ## remove the environments and the site
	rm -rf $(VENV) .pythons site
