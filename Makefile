# `make help` lists what there is. CI runs `.ci/run`, which is `make verify` and `make test`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help build dist demo test chaos simulate attack verify verify_form verify_lints verify_docs verify_dependencies verify_tree fix bench clients compose_up compose_down compose_test chart_test

help: ## List the targets
	@grep -hE '^[a-z_]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z_]+):.*## /\1\t/' | expand -t 14

build: ## Build z4 and z4t for use on this machine, quickly
	$(CARGO) build --release --locked --bin z4 --bin z4t

dist: ## Build z4 and z4t for packages and measurements, with link-time optimisation; in target/dist
	$(CARGO) build --profile dist --locked --bin z4 --bin z4t

demo: ## Run the main job on real input: create, deliver late by how much, survive a SIGKILL
	$(CARGO) build --release --locked -p z4 -p z4-bench --bin z4 --bin z4-demo
	@"$(TARGET)/release/z4-demo" --z4 "$(TARGET)/release/z4"

test: ## Run every test, also after one failed; the last line is the runner's summary
	@status=0; \
	$(CARGO) test --workspace --locked --doc --quiet --no-fail-fast || status=$$?; \
	if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run --workspace --locked --no-fail-fast || status=$$?; \
	else $(CARGO) test --workspace --locked --lib --bins --tests --no-fail-fast || status=$$?; fi; \
	exit $$status

chaos: ## Three peers under load while everything happens to them: SECONDS=60 SEED=random; or judge the file HISTORY again
	@Z4_CHAOS_SECONDS=$(or $(SECONDS),60) Z4_TEST_SEED=$(SEED) Z4_CHAOS_HISTORY=$(abspath $(HISTORY)) Z4_TEST_KEEP=1 \
	$(CARGO) test --locked --quiet -p z4 --test chaos promises_are_kept_whatever_happens -- --nocapture

simulate: ## Live through simulated clusters, from one seed on: SEED=1 SEEDS=10
	@$(CARGO) run --locked --quiet -p z4-simulation --bin z4-simulate -- $(or $(SEED),1) $(or $(SEEDS),10)

attack: ## Hostile clients against peers of the suite's own, for four minutes: nobody else may notice, memory stays bounded
	@$(CARGO) test --release --locked --quiet -p z4 --test attack -- --ignored --nocapture

verify: verify_form verify_lints verify_docs verify_dependencies verify_tree ## Check form, lints, docs, dependencies and the rules of the tree; changes nothing

verify_form:
	$(CARGO) fmt --all --check

verify_lints:
	$(CARGO) clippy --workspace --all-targets --locked --keep-going -- -D warnings

verify_docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet --keep-going

verify_dependencies:
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --locked check; \
	else echo "cargo-deny is not installed: the dependencies were not checked (cargo install --locked cargo-deny)"; fi

verify_tree:
	$(CARGO) test --locked --quiet -p z4 --test tidy

fix: ## Format, and let clippy repair what it can
	$(CARGO) clippy --workspace --all-targets --locked --fix --allow-dirty --allow-staged
	$(CARGO) fmt --all

bench: ## Run the benches of the pure parts; z4-bench loads a running peer, see bench/README.md
	$(CARGO) bench --locked -p z4-bench

clients: build ## Check the peer with clients that are not ours: gRPC of Python, Go and Node, MySQL clients, MariaDB beside it
	@BIN_DIR="$(TARGET)/release" VENV="$(TARGET)/clients-venv" tests/clients/run

compose_up: ## Start a cluster of three peers in containers (deploy/docker-compose.yaml); its storage stays until compose_down
	@deploy/compose.sh up

compose_down: ## End that cluster and erase its storage
	@deploy/compose.sh down

compose_test: ## Walk with such a cluster: add peers, kill the leader, restart all, lose nothing. Wants Docker and the published ports
	@tests/compose/run

chart_test: ## Render the chart with Helm's own code (from PyPI), and walk with its pods where Docker and the image z4 are there
	@VENV="$(TARGET)/chart-venv" tests/chart/run
