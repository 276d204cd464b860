# Two commands do everything on a machine with Python 3.11+ and pip:
#   make demo    set up, train ResNet-50 on real digits, evaluate it, predict with it
#   make test    set up, run the tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python
READY  := $(VENV)/.ready

.PHONY: help setup demo test test-slow test-gpu test-xla fuzz lint format docs pins wheel clean
help:
	@echo "make demo       train ResNet-50 on real digits, evaluate it, predict with it"
	@echo "make test       the tests of every landing      make test-slow  the others too"
	@echo "make test-gpu   what only a GPU can show"
	@echo "make test-xla   TPU code on XLA:CPU, in an environment of its own with torch 2.9 (7 GB)"
	@echo "make fuzz       a million inputs for each parser of files (Linux; RUNS=10000 for fewer)"
	@echo "make lint       ruff, mypy, codespell, hadolint  make format     let ruff put the code in order"
	@echo "make docs       write the generated pages        make pins       choose newest versions, write pins.txt"

setup: $(READY)

$(READY): pyproject.toml pins.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "scirs_neural needs Python 3.11 or newer")'
	@echo "== setting up $(VENV): a virtual environment with the pinned packages (about 6 GB with torch)"
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	@$(BIN)/uv pip install --python $(RUN) --quiet --compile-bytecode --require-hashes -r pins.txt
	@$(BIN)/uv pip install --python $(RUN) --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@echo "== train: ResNet-50 on scikit-learn's 1,797 real scans of digits"
	@$(RUN) -m scirs_neural.train model=resnet50 data=digits
	@echo; echo "== predict: a few scans of the test set (each file is named by its true digit)"
	@$(RUN) -m scirs_neural.predict runs/digits-resnet50 "$$(ls -td runs/digits-resnet50/*/ | head -1)samples"
	@echo; echo "== evaluate: the best weights on the test set, anew"
	@$(RUN) -m scirs_neural.evaluate runs/digits-resnet50

TESTING := SCIRS_OFFLINE=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE MPLBACKEND=Agg
test: $(READY)
	@echo "== the tests"
	@$(TESTING) $(RUN) -m pytest -q -n 2 --dist loadfile -m "not slow and not gpu"

test-slow: $(READY)
	@$(TESTING) $(RUN) -m pytest -q -n 2 --dist loadfile -m "not gpu"

test-gpu: $(READY)
	@$(TESTING) $(RUN) -m pytest -q -m gpu

fuzz: $(READY)
	@$(BIN)/uv pip install --python $(RUN) --quiet "atheris>=3"
	@for target in header archive manifest config pickled table; do \
	  echo "== $$target"; OMP_NUM_THREADS=1 $(RUN) tests/guard/fuzz.py $$target --runs $(or $(RUNS),1000000) || exit 1; done

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/codespell && $(BIN)/hadolint Dockerfile

format: $(READY)
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format --quiet .

docs: $(READY)
	@$(RUN) docs/generate.py

pins: $(READY)
	@$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url --no-header -o pins.txt
	@$(BIN)/uv pip compile --quiet pyproject.toml --group pyproject.toml:xla --universal --generate-hashes --no-emit-index-url --no-header -o pins-xla.txt

# torch_xla ends with torch 2.9, so it has an environment of its own: about 7 GB, half a minute when cached.
XLA_VENV := .venv-xla
XLA_READY := $(XLA_VENV)/.ready
$(XLA_READY): pyproject.toml pins-xla.txt | $(READY)
	@echo "== setting up $(XLA_VENV): torch 2.9 with torch_xla (about 7 GB)"
	@test -x $(XLA_VENV)/bin/python || $(PYTHON) -m venv $(XLA_VENV)
	@$(BIN)/uv pip install --python $(XLA_VENV)/bin/python --quiet --require-hashes -r pins-xla.txt
	@$(BIN)/uv pip install --python $(XLA_VENV)/bin/python --quiet --no-deps --no-build-isolation -e .
	@touch $@

XLA_TESTING := $(TESTING) timeout 900 $(XLA_VENV)/bin/python -m pytest -q -p no:cacheprovider
test-xla: $(XLA_READY)
	@echo "== one XLA device, then two in one process: what runs with SPMD cannot run without it any more"
	@$(XLA_TESTING) tests/xla/test_one_device.py
	@$(XLA_TESTING) tests/xla/test_spmd.py

wheel: $(READY)
	@$(RUN) -m pip wheel --quiet --no-deps --no-build-isolation -w dist .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
