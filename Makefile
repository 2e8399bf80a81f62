# `make run` and `make test` are all the set-up there is; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# Build output lives outside the clone, so that a fresh clone builds from what an earlier one left.
CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/strowger
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(PATH):$(CACHE)/tools/bin
export STROWGER_BIN ?= $(CARGO_TARGET_DIR)/release/strowger
# Where `make run` keeps its data; `rm -r` it to begin anew.
STROWGER_DATA ?= $(CACHE)/demo
PROFILE := $(if $(filter true,$(CI)),ci,default)

.PHONY: help run test setup-test fmt fmt-check lint deny check-tests doc-test bench soak fuzz openapi doc build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: ## the release binary
	@cargo build --release --locked -p strowger-server

run: ## build, then start the demonstration: server and lab carrier on loopback; Ctrl-C stops both
	@scripts/setup run
	echo "build: release binary (the first time takes some minutes)"
	cargo build --release --locked -p strowger-server
	exec scripts/run-demo "$(STROWGER_BIN)" "$(STROWGER_DATA)"

setup-test:
	@scripts/setup test

# The order is by cost: what fails fast comes first.
test: setup-test fmt-check deny lint check-tests doc-test ## everything that CI checks

fmt: ## format the sources
	@cargo fmt --all

fmt-check:
	@echo "== format"
	cargo fmt --all -- --check

lint: ## clippy, with the banned calls of clippy.toml
	@echo "== clippy"
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, bans and sources of the dependencies
	@echo "== cargo deny"
	cargo deny --locked --log-level error check licenses bans sources

check-tests: ## unit tests and scenarios; the scenarios drive the release binary
	@echo "== release binary"
	cargo build --release --locked -p strowger-server
	echo "== tests"
	cargo nextest run --workspace --locked --no-fail-fast --profile $(PROFILE)

doc-test:
	@echo "== documentation tests"
	cargo test --workspace --locked --doc --quiet

bench: ## measure, and print the tables
	@scripts/setup bench
	cargo build --release --locked -p strowger-server -p strowger-benches
	cargo run --release --locked -p strowger-benches -- $(ARGS)

soak: ## the same load for an hour (SOAK_SECONDS=n), with memory and descriptors watched; then a thousand days of a contact centre (STROWGER_SEEDS=n)
	@scripts/setup bench
	cargo build --release --locked -p strowger-server -p strowger-benches
	cargo run --release --locked -p strowger-benches -- soak --seconds $(or $(SOAK_SECONDS),3600)
	echo "== days of a contact centre in virtual time; a day that fails is named, and STROWGER_SEED=n plays it again"
	STROWGER_SEEDS=$(or $(STROWGER_SEEDS),1000) cargo test --quiet -p strowger-core --locked --test centre_day -- --nocapture whole_days

# cargo-fuzz asks for a nightly compiler's sanitizer flags; the variable lets the stable one accept them.
fuzz: ## schemathesis for five minutes, and every fuzz target for 60 seconds (FUZZ_SECONDS=n), or n executions each (FUZZ_RUNS=n); FUZZ_TARGETS="a b"
	@scripts/setup fuzz
	cargo run --quiet --locked -p strowger-fuzz-targets --example seeds -- fuzz/corpus
	cd fuzz
	for target in $(or $(FUZZ_TARGETS),$$(cargo fuzz list)); do
		echo "== fuzz $$target"
		RUSTC_BOOTSTRAP=1 cargo fuzz run "$$target" -- \
			$(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),-max_total_time=$(or $(FUZZ_SECONDS),60)) \
			-rss_limit_mb=2048 -timeout=5 -dict=sip.dict -print_final_stats=1
	done
	if [ -z "$(FUZZ_TARGETS)$(FUZZ_RUNS)" ]; then
		echo "== schemathesis"
		cd ..
		cargo build --release --locked -p strowger-server
		STROWGER_SCHEMATHESIS_SECONDS=$(or $(FUZZ_SECONDS),300) \
			cargo test -p strowger-tests --locked --test native_api -- --nocapture schemathesis
	fi

openapi: ## write docs/openapi.json from the code
	@STROWGER_WRITE_OPENAPI=1 cargo nextest run -p strowger-api --locked the_file_in_the_repository

doc: ## the crates' documentation, with every link checked
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	echo "open $(CARGO_TARGET_DIR)/doc/strowger_core/index.html"
