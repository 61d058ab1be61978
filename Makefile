# Verbs for people. Each sets up .venv by itself when it is missing or older than requirements.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The real recordings and weights that some tests look for, where a checkout has them beside it.
ifneq ($(wildcard ../shared/data),)
export HOMOLOG_DATA ?= $(abspath ../shared/data)
endif
PORT ?= 8501

.PHONY: help app test check format bench
.DEFAULT_GOAL := help

help: ## List these verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

app: $(STAMP) ## Set up and open the app (PORT=8501)
	$(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

test: $(STAMP) ## Set up and run all tests (ARGS="-k brain" for some)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

check: $(STAMP) ## Lint, format, types and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Put the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Time ourselves beside the peer libraries (minutes; wants an idle machine)
	$(BIN)/python -m benchmarks

$(STAMP): requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Homolog needs Python 3.11 or newer.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip  # older ones resolve for minutes
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@
