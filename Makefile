# Two commands matter: `make run` and `make test`. Everything they need is set up on the way.
# Needs Rust, Python >= 3.11 and a C toolchain.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

.PHONY: run test check test-rust test-python wheel bench fmt clean

run: $(VENV)/.built ## run the broker on its embedded default
	$(BIN)/vallum run $(ARGS)

test: test-rust test-python ## everything that must pass

test-rust:
	cargo test --workspace --exclude vallum-python --quiet

test-python: $(VENV)/.built
	$(BIN)/pytest $(ARGS)

check: $(VENV)/.built ## format, lints, types, stubs, tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest vallum._core --allowlist tests/stubtest-allowlist.txt
	$(MAKE) test

fmt: $(VENV)/.built
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(VENV)/.tools ## one abi3 wheel in dist/
	$(BIN)/maturin build --release --out dist

bench: $(VENV)/.built ## compare with the peers found on this machine
	$(BIN)/python bench/run.py $(ARGS)

# The virtual environment with the tools; remade when the list changes.
$(VENV)/.tools: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --group dev
	touch $@

# The package, built in place; remade when a Rust source changes.
$(VENV)/.built: $(VENV)/.tools $(RUST_SOURCES)
	. $(BIN)/activate && maturin develop --quiet --release
	touch $@

clean:
	rm -rf $(VENV) dist target
