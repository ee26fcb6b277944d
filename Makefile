# Everything a person does with Reverie. Each target first installs into .venv what it needs and is not there yet.

VENV := .venv
BIN := $(VENV)/bin
# RUNS is the mark of what running needs, TESTS of what all other targets need beside it.
RUNS := $(VENV)/.installed
TESTS := $(VENV)/.installed-tests
RUN_PINS := requirements.txt requirements-preview.txt
TEST_PINS := requirements-dev.txt requirements-train.txt requirements-ray.txt
# What only some hosts need, by the part of its file's name: make setup EXTRAS=ray
EXTRAS :=
INSTALL := $(BIN)/python deploy/install.py

# Prompt and address reach our programs through the environment: neither make nor the shell ever reads them as code.
unexport PROMPT
export REVERIE_PROMPT := $(value PROMPT)
ifneq ($(origin TORCH_INDEX),undefined)
unexport TORCH_INDEX
export REVERIE_TORCH_INDEX := $(value TORCH_INDEX)
ifneq ($(REVERIE_TORCH_INDEX),$(shell cat $(VENV)/torch-index 2>/dev/null))
.PHONY: $(RUNS)
endif
endif

# Tests start more than a hundred Pythons, each of which would compile our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run imagine notebook test check format bench gpu faults pins clean

help: ## list the targets
	@echo 'make TARGET [PROMPT="..."] [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(RUNS) $(EXTRAS:%=$(VENV)/.installed-extra-%) ## make .venv with what running needs (once; again only when the pins change)
	@echo 'Ready: from here on running needs no network.'

$(RUNS): $(RUN_PINS) requirements-setup.txt
	@found=; \
	fits='import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; \
	if ! $(BIN)/python -c "import pip; $$fits" 2>/dev/null; then \
		for candidate in $(or $(PYTHON),python3.11 python3.12 python3); do \
			if "$$candidate" -c "$$fits" 2>/dev/null; then found="$$candidate"; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			test -z '$(PYTHON)' || echo '$(PYTHON) is no Python 3.11 or 3.12.' >&2; \
			echo 'Reverie needs Python 3.11 or 3.12: install it, or name it with: make setup PYTHON=/path/to/python3.11' >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$found" --version)."; \
		"$$found" -m venv --clear $(VENV) || exit 1; \
	fi
	@$(INSTALL) $(RUN_PINS)
	@touch $@

$(VENV)/.installed-extra-%: requirements-%.txt | $(RUNS)
	@$(INSTALL) $<
	@touch $@

$(TESTS): $(TEST_PINS) | $(RUNS)
	@echo 'Adding what tests and checks need.'
	@$(INSTALL) $(TEST_PINS)
	@touch $@

ifeq ($(origin PROMPT),command line)
run: imagine ## start the bot (without DISCORD_TOKEN its local preview); with PROMPT="..." paint that picture
else
run: $(RUNS)
	@$(BIN)/python -m bot $(ARGS)
endif

imagine: $(RUNS) ## paint PROMPT="a red apple" with the starter models, on the CPU if need be
	@$(BIN)/python -m generator $(ARGS) -- "$$REVERIE_PROMPT"

NOTEBOOK := $(VENV)/.installed-notebook

notebook: $(NOTEBOOK) ## open notebooks/imagine.ipynb in Jupyter, in your browser
	@$(BIN)/python -m jupyterlab notebooks/imagine.ipynb $(ARGS)

$(NOTEBOOK): requirements-notebook.txt | $(RUNS)
	@echo 'Adding Jupyter.'
	@$(INSTALL) requirements-notebook.txt
	@touch $@

test: $(TESTS) ## run the tests, four at a time; ARGS="-m 'not slow'" leaves out the slow ones
	@$(BIN)/python -m pytest --numprocesses 4 --dist worksteal $(ARGS)

check: $(TESTS) ## lint, formatting, types, import contracts, size of packages, known vulnerabilities
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest --quiet --no-header tests/test_layout.py -k twenty_things
	@$(BIN)/python .ci/audit.py
	@echo 'All checks passed.'

format: $(TESTS) ## format the code and mend what can be mended
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

bench: $(TESTS) ## measure speed, memory, service and time to score (figures in build/bench/)
	@$(BIN)/python -m benchmarks.steps --one-crop-per-call
	@$(BIN)/python -m benchmarks.profile
	@$(BIN)/python -m benchmarks.service
	@$(BIN)/python -m benchmarks.service --small --jobs 200 --json build/bench/service-small.json
	@$(BIN)/python -m benchmarks.time_to_score --prompts 2 --seeds 1

gpu: $(TESTS) ## try and measure everything on a GPU, in four minutes at most (figures in build/bench/gpu.json)
	@$(BIN)/python -m benchmarks.gpu $(ARGS)

faults: $(TESTS) ## kill and cut off the real process again and again, soak it, fuzz (hours; figures in build/bench/)
	@$(BIN)/python -m benchmarks.faults $(ARGS)
	@$(BIN)/python -m benchmarks.soak
	@$(BIN)/python -m benchmarks.fuzz

pins: $(TESTS) ## compile requirements*.in to requirements*.txt (needs the network)
	@set -e; for name in requirements requirements-preview requirements-film requirements-safety requirements-upscale \
		requirements-tokenizer requirements-dev requirements-train requirements-ray requirements-notebook; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --custom-compile-command 'make pins' \
			--output-file "$$name.txt" "$$name.in"; \
	done

clean: ## remove caches and build outputs; .venv and data stay
	@rm -rf build out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -path ./data -prune -o -name __pycache__ -type d -exec rm -rf {} +
