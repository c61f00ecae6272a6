# Everything a developer runs. `make demo` and `make test` set up all they need on a machine that
# has Python 3.11 and make, and nothing else.

PYTHON ?= python3.11
VENV := .venv
DEMO := .venv-demo
BIN := $(VENV)/bin
TESTS ?= tests
# Tests that start servers wait for most of their time, so three at a time keep two cores busy. What is
# slow lies together, so a process that has done its part takes over from another.
PYTEST := -q -n 3 --dist worksteal

# Beside one another, on few cores, tests that start servers may wait for longer than they can. What
# failed is therefore run once more, alone: it is named above, and what fails again has failed.
AGAIN := $(BIN)/pytest -q --last-failed --last-failed-no-failures none --maxfail 3 $(TESTS)

# Modules are compiled once, and not at each start of one of the many processes of a test.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo setup test check format lock docs bench soak clean

# The service of the README: [sklearn] only, in an environment of its own.
demo: $(DEMO)/installed
	$(DEMO)/bin/modelway demo $(DEMO_FLAGS)

setup: $(VENV)/installed

test: setup
	$(BIN)/pytest $(PYTEST) $(TESTS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(PYTEST) $(TESTS) || { [ $$? -eq 1 ] && $(AGAIN); }

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A stamp is made when its lock is installed, and again when the lock changes. uv comes from a
# hashed lock of its own, through the pip that Python brings; the project itself is built offline
# with the hatchling of that lock.
$(VENV)/installed: locks/tools.txt locks/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/tools.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

$(DEMO)/installed: locks/tools.txt locks/sklearn.txt pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --require-hashes -r locks/tools.txt
	$(DEMO)/bin/uv pip install --quiet --python $(DEMO)/bin/python --require-hashes -r locks/sklearn.txt
	$(DEMO)/bin/uv pip install --quiet --python $(DEMO)/bin/python --no-deps --no-build-isolation -e .
	touch $@

# Locks are for every platform, pinned and hashed, with no address and no path inside. The smaller
# ones are cut from the largest, so that a version is the same wherever it stands.
UV ?= $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

lock:
	$(PYTHON) locks/dev_tools.py | $(COMPILE) pyproject.toml - --all-extras -o locks/dev.txt
	$(COMPILE) pyproject.toml --extra sklearn -c locks/dev.txt -o locks/sklearn.txt
	$(COMPILE) pyproject.toml -c locks/dev.txt -o locks/core.txt
	$(COMPILE) locks/tools.in -c locks/dev.txt -o locks/tools.txt

# The generated pages of docs/reference; tests fail while they are not current.
docs: setup
	$(BIN)/python -m modelway.cli.reference docs/reference

# Measurements beside the tests. The comparison installs its peers into environments of their own and
# needs wrk; what bench/http_stack.py names is not in the lock.
bench: setup
	$(BIN)/python bench/compiled_table.py
	$(BIN)/python bench/compare.py
	$(BIN)/python bench/recording.py
	$(BIN)/python bench/bulk.py
	PYTHONPATH=tests $(BIN)/python bench/jobs.py

# What is promised within seconds, held to those seconds.
PROMISES := $(shell grep -l "import promised" tests/integration/*.py)

# What is too long for a check; its figures are committed.
soak: setup
	PYTHONPATH=tests $(BIN)/python bench/serving_soak.py
	PYTHONPATH=tests $(BIN)/python bench/up_kills.py
	PYTHONPATH=tests $(BIN)/python bench/jobs_soak.py
	PYTHONPATH=tests $(BIN)/python bench/random_pipelines.py
	$(BIN)/python bench/canary_simulation.py
	PYTHONPATH=tests $(BIN)/python bench/bulk_soak.py
	MODELWAY_TEST_PATIENCE=1 $(BIN)/pytest -q -s $(PROMISES)

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
