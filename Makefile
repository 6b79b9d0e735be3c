# Every task is a target here; `make help` lists them. Continuous integration runs `make test`.
PYTHON ?= python3
# Extra arguments for installing torch alone, first. On Linux without a GPU the ordinary index
# offers a CUDA build of several GB: pass PyTorch's CPU wheel index here (see README, "Installing").
TORCH_ARGS ?=
VENV ?= .venv
PY := $(VENV)/bin/python
# For tests of the search box alone; nothing that is served comes from npm.
JS_PACKAGES := typescript@7.0.2 react@19.3.1 react-dom@19.3.1
CITEWELL := $(VENV)/bin/citewell
CORPUS ?= corpus
INDEX_DIR ?= var/index
HOST ?= 127.0.0.1
PORT ?= 8000
# `make bench`: a folder with data/medquad, data/articles and eval/NAME-dev.jsonl (not ours to give; without it the
# starter library is the base), a finished index of data/medquad to save building one, a folder to work in,
# "quick" for a few minutes, and further options of tests/bench/compare.py.
BENCH_DATA ?=
BENCH_INDEX ?=
BENCH_WORK ?= var/bench
BENCH ?=
BENCH_ARGS ?=
export BENCH_DATA BENCH_INDEX BENCH_WORK BENCH
# Nothing is fetched from a model hub, whatever the libraries would like to do.
export HF_HUB_OFFLINE = 1

.DEFAULT_GOAL := help
.PHONY: help install run build serve test check format lint types imports quality bench samples clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --upgrade pip
	$(PY) -m pip install -q torch==2.13.0 $(TORCH_ARGS)
	$(PY) -m pip install -q -e '.[dev]'
	@if ! command -v npm >/dev/null; then echo "no npm: the types of the search box and its React example are not tested"; \
	else npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/js $(JS_PACKAGES) \
	|| echo "npm failed: the types of the search box and its React example are not tested"; fi
	touch $@

install: $(VENV)/.installed ## make the virtual environment with everything in it

run: build ## install, build the index of corpus/, answer one question, serve on HOST:PORT
	$(CITEWELL) ask --index-dir $(INDEX_DIR) "How soon does heroin withdrawal start?"
	$(CITEWELL) serve --index-dir $(INDEX_DIR) --host $(HOST) --port $(PORT)

build: install ## build or rebuild the index of CORPUS in INDEX_DIR
	$(CITEWELL) build $(CORPUS) --index-dir $(INDEX_DIR)

serve: install ## serve the index that is there
	$(CITEWELL) serve --index-dir $(INDEX_DIR) --host $(HOST) --port $(PORT)

test: install ## run every test
	$(PY) -m pytest

check: format lint types imports test ## what a change must pass: format, lint, types, imports, tests

format: install ## check the formatting
	$(VENV)/bin/ruff format --check ingest index service tests

lint: install ## check the rules of style
	$(VENV)/bin/ruff check ingest index service tests

types: install ## check the types
	$(VENV)/bin/mypy

imports: install ## check who may import whom
	$(VENV)/bin/lint-imports

quality: build ## measure the starter library's own questions
	$(CITEWELL) eval tests/quality/starter-questions.jsonl --index-dir $(INDEX_DIR)

bench: install ## measure Citewell beside txtai, Haystack and a plain script; BENCH=quick takes minutes
	$(PY) -m pip install -q --group bench
	$(PY) tests/bench/compare.py $(BENCH_ARGS)

samples: install ## make the starter library's pdf, docx and epub files anew
	$(PY) tests/data/make_starter_library.py

clean: ## delete the index and every cache; the environment stays
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
