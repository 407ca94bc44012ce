# Every target sets up what it needs: git, make and Python 3.11 or newer; no root and no Docker.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

# For another Python: make PYTHON=/path/to/python3.12 setup
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Named after this folder, so that an environment that was copied or moved here is made anew.
STAMP := $(VENV)/.set-up-$(shell printf %s '$(CURDIR)' | cksum | cut -d ' ' -f 1)

# Three test processes keep two cores busy, because tests of processes wait. Each has its own servers and takes
# over tests of the others when it has none left.
TEST_PROCESSES ?= 3
PYTEST_ARGS ?=
MAX_FILE_LINES := 300

##@ Try it
.PHONY: setup
setup: $(STAMP) ## make .venv with everything tested, installed from this folder

$(STAMP): pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' .ci/environment $(VENV) $@
	@echo "setup: installing what was tested; the first time this takes minutes, as PyTorch is large"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.PHONY: demo
demo: setup ## rank the example contracts with the demo model, in its own store under .demo/
	@unset $${!RANKMILL_@}; $(BIN)/rankmill run --corpus examples/corpus.jsonl --queries examples/queries.jsonl \
		--all-pairs --model demo --window 96 --stride 48 --store sqlite:///.demo/rankmill.db

##@ Work on it
.PHONY: test
test: setup ## run all tests; PYTEST_ARGS='-k wheel' picks some, TEST_PROCESSES=6 uses more cores
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

# make chaos ROUNDS=20 STORES=sqlite SEED=7
ROUNDS ?= 200
STORES ?= sqlite postgresql
SEED ?=
.PHONY: chaos
chaos: setup ## kill, freeze and starve real workers for 200 rounds on each store (half an hour)
	@for store in $(STORES); do $(BIN)/python -m tests.chaos --on $$store --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)); done

# Ten thousand cases for each reader of inputs, and for each form that a password may have in a URL.
FUZZ_CASES ?= 10000
.PHONY: fuzz
fuzz: setup ## try each reader of inputs with 10,000 strange ones (long)
	RANKMILL_FUZZ_CASES=$(FUZZ_CASES) $(BIN)/python -m pytest -n $(TEST_PROCESSES) --timeout 3000 -k fuzz $(PYTEST_ARGS)

.PHONY: audit
audit: setup ## ask the advisory database for known vulnerabilities of what is installed (needs the internet)
	@.ci/audit $(BIN)/python

.PHONY: lint
lint: setup ## check style, types, import contracts and file sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@find . -name '.?*' -prune -o \( -name '*.py' -o -name '*.sh' \) -exec wc -l {} \; \
		| awk '$$1 > $(MAX_FILE_LINES) { print $$2 ": " $$1 " lines, more than $(MAX_FILE_LINES)"; found = 1 } END { exit found }'

.PHONY: format
format: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: setup ## write the generated parts of README.md and docs/ anew
	$(BIN)/python -m docs.generate

.PHONY: wheel
wheel: setup ## build dist/rankmill-*.whl
	$(BIN)/python -m build --wheel --outdir dist .

# To measure everything: make bench DATA=DIR BENCH='peers million_pairs urgent killed_workers cuad kills'
# DIR has data sets in BEIR layout; the last two need cuad in it.
BENCH ?= peers
DATA ?=
.PHONY: bench
bench: setup ## measure the engine beside others, each in its own environment (long); BENCH names other benchmarks
	@[[ ' $(BENCH) ' != *' peers '* ]] || PYTHON='$(CURDIR)/$(BIN)/python' benchmarks/peers.sh
	@for part in $(BENCH); do case $$part in \
		peers) $(BIN)/python -m benchmarks.peers $(if $(DATA),--data '$(DATA)') ;; \
		cuad) $(BIN)/python -m benchmarks.cuad --cuad '$(DATA)/cuad' ;; \
		kills) $(BIN)/python -m benchmarks.jobs.kills --cuad '$(DATA)/cuad' ;; \
		*) for store in sqlite postgresql; do $(BIN)/python -m benchmarks.jobs.$$part --on $$store; done ;; \
	esac; done

.PHONY: clean
clean: ## remove what the other targets made, including the environment
	rm -rf $(VENV) .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

##@ Run it in containers
# Without a GPU: make up SERVICES='worker-cpu flower'
SERVICES ?=
.PHONY: up
up: ## start PostgreSQL, Redis, a GPU worker, the beat and Flower with Docker Compose (.env.example says what it needs)
	docker compose up --build --detach $(SERVICES)

.PHONY: down
down: ## stop them; stored scores and weights stay in their volumes
	docker compose --profile '*' down

##@ Help
.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
