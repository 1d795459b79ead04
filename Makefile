# Every command of the project. `make` without a target prints this list.

PYTHON  ?= python3
PROFILE ?= embedded
JOBS    ?= 2

VENV    := .venv
RUN     := $(VENV)/bin/python
READY   := $(VENV)/.ready
PEERS   := $(VENV)/.ready-bench

PARALLEL := -n logical --maxprocesses 8

.DEFAULT_GOAL := help
.PHONY: help setup data results book test test-all check sync bench bench-setup clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@echo "Targets:"
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  ##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
	  awk -F'\t' '{ printf "  make %-8s %s\n", $$1, $$2 }'
	@echo "Variables: PROFILE=embedded|paper (book), JOBS=$(JOBS) (book), NAME (results)," \
	  "PYTHON=$(PYTHON) (setup)"

setup: $(READY)  ## create .venv with the pinned packages

data: $(READY)  ## make the embedded data of data/ again (under an hour on 2 cores)
	$(RUN) -m helpers.synthetic.volumes
	$(RUN) -m helpers.synthetic.alloys

results: $(READY)  ## compute the tables of data/results whose code or data changed (hours), or NAME=...
	$(RUN) -m helpers.io.results $(NAME)

book: $(READY)  ## execute the chapters and build the site
	@$(RUN) -m bookbuild --profile $(PROFILE) --jobs $(JOBS)

test: $(READY)  ## run the quick tests, a process a core (offline, without GPU and browser)
	$(RUN) -m pytest $(PARALLEL)

test-all: $(READY)  ## run the slow tests as well, at full counts
	$(RUN) -m pytest $(PARALLEL) -m "not network and not gpu and not browser"

check: $(READY)  ## format, lint, order of imports, chapters as files; results older than their code
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(RUN) -m pytest -q tests/test_book.py
	$(RUN) -m helpers.io.results --check

sync: $(READY)  ## generate book/*.ipynb from book/*.py
	$(RUN) -m bookbuild.sync

bench: $(PEERS)  ## time the helpers against their peers
	$(RUN) -m benchmarks

bench-setup: $(PEERS)

clean:  ## delete what was built (keeps .venv, downloads, unfinished work of data and results)
	if [ -d _build ]; then find _build -mindepth 1 -maxdepth 1 ! -name two_phase ! -name results \
	  -exec rm -rf {} +; fi
	rm -rf build .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The stamps are written last, so an interrupted installation is taken up again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; print("Using", sys.executable, sys.version.split()[0]); \
	  sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed. " \
	  "Name one with `make setup PYTHON=/path/to/python3.11`.")'
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot create a virtual environment; on \
	Debian and Ubuntu install the package python3-venv first." >&2; exit 1; }
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[book,dev]"
	@touch $@

$(PEERS): $(READY)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[book,dev,bench,ray]"
	@touch $@
