# Headwater. `make` lists the targets; everything happens in .venv.

PYTHON ?= python3
BIN := .venv/bin
PYTEST = $(BIN)/python -m pytest -n 2 $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-s3 demo-exports dev dbt test-fast test test-all check fuzz bench docs sbom pictures format clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: .venv/.complete ## Create .venv with the locked dependencies

.venv/.complete: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headwater needs Python 3.11 or newer (make PYTHON=python3.12)")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.spark: tests/interop/requirements-spark.lock | setup  # Spark and a Java, for the tests of readers alone (600 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes -r $<
	@touch $@

COUNTERPARTS := .venv/counterparts/fakesnow/.complete .venv/counterparts/bqemulator/.complete

.venv/counterparts/fakesnow/.complete: orchestration/demo/simulators/snowflake/requirements.lock
.venv/counterparts/bqemulator/.complete: orchestration/demo/simulators/bigquery/requirements.lock
.venv/counterparts/%/.complete:  # servers that speak as Snowflake and BigQuery
	$(PYTHON) -m venv .venv/counterparts/$*
	.venv/counterparts/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(filter %.lock,$^)
	@touch $@

demo: setup ## Generate a simulated estate, land it, build it, export it, balance it (about 4 minutes with the installation)
	$(BIN)/python -m orchestration.demo.local $(ARGS)

demo-s3: setup ## The same demo from a bucket into a lake in a bucket, on an S3-compatible server of its own
	$(BIN)/python -m orchestration.demo.s3 $(ARGS)

demo-exports: setup $(COUNTERPARTS) ## Export a small estate to Snowflake, BigQuery and Splunk, as counterparts on loopback
	$(BIN)/python -m orchestration.demo.exports $(ARGS)

dev: setup ## Open the Dagster UI on the demo lake (http://127.0.0.1:3000)
	$(BIN)/python -m orchestration.dev $(ARGS)

dbt: setup ## Run the dbt project alone: build every stale hour, without Dagster
	$(BIN)/dbt run --project-dir dbt_project --profiles-dir dbt_project --target lake --target-path target/lake $(ARGS)

test-fast: setup ## Run the unit tests: a minute and a half, without Dagster, dbt, sockets
	$(PYTEST) tests/unit

test: test-fast ## Run every test that this environment can run (about 14 minutes)
	$(PYTEST) --ignore=tests/unit

test-all: test-fast ## Add Spark, the counterparts' environments, and kills at every point (about 30 minutes)
	$(MAKE) --no-print-directory --jobs 3 .venv/.spark $(COUNTERPARTS)  # installing waits more than it works
	$(PYTEST) -m "" --ignore=tests/unit

# What pre-commit runs too, hook by hook: see .pre-commit-config.yaml.
CHECKS := check-format check-lint check-types check-sql check-generated check-declared check-commits
.PHONY: $(CHECKS)

check: $(CHECKS) ## Formatting, lint, types, SQL lint, generated files, what is declared, commit subjects: no tests

check-format: setup
	$(BIN)/ruff format --check .

check-lint: setup
	$(BIN)/ruff check .

check-types: setup
	$(BIN)/mypy

check-sql: setup
	$(BIN)/sqlfluff lint --processes 2 dbt_project/models

check-generated: setup
	$(BIN)/python -m ingest.contracts.generate --check
	$(BIN)/python -m lake.ocsf.generate --check
	$(BIN)/python -m lake.export.type_table --check

check-declared: setup  # contracts, products, models and their SQL, routes
	$(BIN)/python -c "from orchestration.cli import main; main()" check

check-commits:
	.ci/commit-subjects

fuzz: setup ## Count what mutated records, power loss, odd names, settings and kills break; ARGS="--records N --scale N --source X"
	$(BIN)/python -m tests.fuzz --records 100000 --kinds $(ARGS)

bench: setup ## Measure speed as ratios to bare DuckDB, taken in one run (ARGS=--quick: a few minutes)
	$(BIN)/python -m tests.bench $(ARGS)

docs: setup ## Build the documentation site in .headwater/docs/html; every link is checked
	$(BIN)/python -m orchestration.docs.build $(ARGS)

sbom: setup ## Write the bill of materials of the image's lock, CycloneDX JSON, to .headwater/sbom.cdx.json
	mkdir -p .headwater && $(BIN)/python -m orchestration.deploy.sbom > .headwater/sbom.cdx.json

pictures: setup ## Take the README's pictures anew: the demo's incident and an asset's page (needs chromium and make demo)
	$(BIN)/python -m orchestration.docs.pictures $(ARGS)

format: setup ## Format Python and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what the demo and the tests made (not .venv)
	rm -rf .headwater dbt_project/target dbt_project/logs .pytest_cache .ruff_cache .mypy_cache
