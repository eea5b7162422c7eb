# Every task of the project; `make help` lists them. Each works from nothing: it creates .venv, installs what it
# needs and builds the Rust core. Stamp files in .venv make a second call fast.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

# `make test-oldest` has an environment of its own, on the oldest Python that is supported.
PYTHON_OLDEST ?= python3.10
OLDEST := .venv-oldest
OLDEST_BIN := $(OLDEST)/$(notdir $(BIN))

# What builds the package, as [build-system] in pyproject.toml has it.
MATURIN := maturin>=1.13,<2

# maturin and uv install into this environment whatever shell they are called from. Its modules are compiled once: tests
# start Python often, and compiling torch and the package takes longer than the rest of a start.
export VIRTUAL_ENV := $(abspath $(VENV))
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE

RUST := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml 2>/dev/null)

.PHONY: help
help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.built ## Build, then find defects in photographs, end to end; prints the path of the report
	$(BIN)/pni-fast demo --output demo-output

# A file of tests stays in one process: what its tests share is made once.
SPREAD := --numprocesses auto --maxprocesses 4 --dist loadfile
# Threads that wait for each other's sleep: those of the other processes need the cores (a fifth of the time).
test test-oldest: export OMP_WAIT_POLICY := PASSIVE

.PHONY: test
test: $(VENV)/.extra-test ## Run every test, Rust and Python
	PYO3_PYTHON="$(VIRTUAL_ENV)/$(notdir $(BIN))/python" cargo test --locked --workspace
	$(BIN)/pytest $(SPREAD)
	$(BIN)/pytest --doctest-modules python/pni_fast

.PHONY: test-oldest
test-oldest: $(OLDEST)/.built ## Run the Python tests with every dependency at its lower bound, on Python 3.10
	$(OLDEST_BIN)/pytest $(SPREAD)
	$(OLDEST_BIN)/pytest --doctest-modules python/pni_fast

.PHONY: test-simd
test-simd: $(VENV)/.extra-test ## Run the kernels' tests under every SIMD path this machine has
	for level in $$($(BIN)/python -c 'from pni_fast import _core; print(*_core.simd_levels())'); do \
		echo "PNI_FAST_SIMD=$$level"; \
		PNI_FAST_SIMD=$$level $(BIN)/pytest tests/property/test_kernel_properties.py tests/unit/test_kernels.py; \
	done

ARM := aarch64-unknown-linux-gnu

.PHONY: test-arm
test-arm: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER ?= aarch64-linux-gnu-gcc
test-arm: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER ?= qemu-aarch64 -L /usr/aarch64-linux-gnu
test-arm: ## Lint and test the Rust core for NEON on an emulated aarch64 (CONTRIBUTING says what it needs)
	rustup target add $(ARM)
	cargo clippy --locked -p pni-core --lib --tests --target $(ARM) -- -D warnings
	cargo test --locked -p pni-core --release --target $(ARM) --config profile.release.lto=false

.PHONY: lint
lint: $(VENV)/.extra-lint ## Check formatting, lints, layers, types, and the stubs against the compiled module
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest pni_fast._core --mypy-config-file pyproject.toml
	cargo fmt --all --check
	PYO3_PYTHON="$(VIRTUAL_ENV)/$(notdir $(BIN))/python" cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: docs
docs: $(VENV)/.extra-docs ## Build the pages of docs/ and the API reference into site/; a warning is an error
	$(BIN)/mkdocs build --strict

.PHONY: audit
audit: $(VENV)/.audit ## Ask PyPI for known vulnerabilities of the newest versions a user gets
	$(BIN)/uv pip compile --quiet --no-header --output-file $(VENV)/audit.txt pyproject.toml
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/audit.txt

.PHONY: format
format: $(VENV)/.extra-lint ## Format every file the way `make lint` wants it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cargo fmt --all

.PHONY: bench
bench: $(VENV)/.extra-bench ## Measure the kernels, then whole ways, against their peers, in one run, as two tables
	$(BIN)/python benches/compare.py
	$(BIN)/python benches/end_to_end.py

# Leaks are not looked for: a scope ends before its threads have run their exit handlers, whose records glibc still holds.
FUZZ_SECONDS ?= 120

# How many model files of strangers are tried, and the seed they follow from.
FUZZ_FILES ?= 1000
FUZZ_SEED ?= 0

# At each how many file operations a command is killed.
KILL_EVERY ?= 1

.PHONY: fuzz
fuzz: fuzz-files fuzz-kill ## Fuzz model files, kill commands, then each kernel for FUZZ_SECONDS (120) each; needs `cargo install cargo-fuzz`
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	for target in greedy_coreset nearest max_likelihood position_histogram; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -len_control=0 \
			-detect_leaks=0; \
	done

.PHONY: fuzz-files
fuzz-files: $(VENV)/.extra-test ## Load and score FUZZ_FILES (1000) damaged and hostile model files; a few minutes
	$(BIN)/python fuzz/model_files.py --cases $(FUZZ_FILES) --seed $(FUZZ_SEED)

.PHONY: fuzz-kill
fuzz-kill: $(VENV)/.extra-test ## Kill fit, score, evaluate and synthesize at each of their file operations; some minutes
	$(BIN)/python fuzz/kill_outputs.py --every $(KILL_EVERY) --seed $(FUZZ_SEED)

.PHONY: build
build: $(VENV)/.tools ## Build the wheel and the source archive into dist/
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

.PHONY: clean
clean: ## Remove the environment and everything built or cached
	rm -rf $(VENV) $(OLDEST) target dist site demo-output bench-output python/pni_fast/_core*.so python/pni_fast/_core*.pyd
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "pni-fast needs Python 3.10 or newer, got $$($(PYTHON) --version 2>&1); make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) lacks venv or pip; on Debian and Ubuntu: apt install python3-venv python3-pip" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "cargo is missing; install Rust from https://rustup.rs" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv '$(MATURIN)'
	touch $@

# An editable install: Python sources are used where they are, the Rust core is rebuilt when its sources change. uv
# resolves and unpacks in a fraction of pip's time: torch brings 6 GB of CUDA.
$(VENV)/.built: $(VENV)/.tools pyproject.toml $(RUST)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/maturin develop --uv --release
	touch $@

$(VENV)/.extra-%: $(VENV)/.built
	$(BIN)/uv pip install --requirement pyproject.toml --extra $*
	touch $@

# The pages need neither the package nor what it depends on.
$(VENV)/.extra-docs: $(VENV)/.tools pyproject.toml
	$(BIN)/uv pip install --group docs
	touch $@

# pip resolves to the newest only; uv also to the oldest, of what pyproject.toml names itself.
$(OLDEST)/.tools: pyproject.toml
	@for python in $(PYTHON_OLDEST) "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.10.*/bin/python; do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; then \
			echo "$$python -m venv $(OLDEST)"; \
			exec "$$python" -m venv --clear $(OLDEST); \
		fi; \
	done; \
	echo "make test-oldest needs Python 3.10 with venv and pip, and $(PYTHON_OLDEST) is not that;" \
		"make PYTHON_OLDEST=/path/to/python3.10 test-oldest" >&2; exit 1
	$(OLDEST_BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(OLDEST_BIN)/uv pip install --quiet --python $(OLDEST_BIN)/python --resolution lowest-direct \
		--requirement pyproject.toml --extra test '$(MATURIN)'
	touch $@

# A target folder of its own: the core is not built anew each time the two environments take turns.
test-oldest $(OLDEST)/.built: export VIRTUAL_ENV := $(abspath $(OLDEST))
test-oldest $(OLDEST)/.built: export CARGO_TARGET_DIR := $(abspath target/oldest)

$(OLDEST)/.built: $(OLDEST)/.tools $(RUST)
	$(OLDEST_BIN)/maturin develop --release
	touch $@

$(VENV)/.audit: $(VENV)/.tools
	$(BIN)/uv pip install pip-audit
	touch $@
