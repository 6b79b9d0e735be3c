# Every task is a target here; `make help` lists them. Continuous integration runs `make test`.
PYTHON ?= python3
# Extra arguments for installing torch alone, first. On Linux without a GPU the ordinary index
# offers a CUDA build of several GB: pass PyTorch's CPU wheel index here (see README, "Installing").
TORCH_ARGS ?=
VENV ?= .venv
PY := $(VENV)/bin/python
CITEWELL := $(VENV)/bin/citewell
CORPUS ?= corpus
INDEX_DIR ?= var/index
HOST ?= 127.0.0.1
PORT ?= 8000
# Nothing is fetched from a model hub, whatever the libraries would like to do.
export HF_HUB_OFFLINE = 1

.DEFAULT_GOAL := help
.PHONY: help install

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --upgrade pip
	$(PY) -m pip install -q torch==2.13.0 $(TORCH_ARGS)
	$(PY) -m pip install -q -e '.[dev]'
	touch $@

install: $(VENV)/.installed ## make the virtual environment with everything in it
