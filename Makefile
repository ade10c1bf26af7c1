# SPDX-License-Identifier: MIT OR Apache-2.0
# Each target is complete by itself: it installs what is missing, builds what it needs, and does nothing twice.

BASE ?= 5.10.13
LEVEL ?= 4
EXECUTOR ?= auto
# More options for vremount, such as ARGS="--claim reuse".
ARGS ?=

CARGO_RUN = cargo run --quiet --locked --release --package vremount --
CHOICE = --base $(BASE) --level $(LEVEL)

.DEFAULT_GOAL := help
.PHONY: help deps kernel verify test check-series bench-harness claims shell lint clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo 'Variables: BASE=$(BASE) LEVEL=$(LEVEL) EXECUTOR=$(EXECUTOR) ARGS=$(ARGS)'

deps: ## install the Debian packages that are missing
	@ci/install-deps

kernel: deps ## obtain, patch and build the kernel of BASE at LEVEL
	@$(CARGO_RUN) kernel $(CHOICE) $(ARGS)

verify: deps ## boot it and prove the claims
	@$(CARGO_RUN) verify $(CHOICE) --executor $(EXECUTOR) $(ARGS)

test: deps ## run every test: units on the host, claims at every level
	@$(CARGO_RUN) kernel --base $(BASE) --level 0
	@$(CARGO_RUN) kernel --base $(BASE) --level 4
	@BASE=$(BASE) cargo test --locked --release --workspace $(ARGS)

check-series: deps ## check the patches of every base as reviewers' tools do
	@$(CARGO_RUN) check-series $(ARGS)

bench-harness: deps ## time the harness itself: boot, verdict, memory
	@$(CARGO_RUN) bench-harness $(CHOICE) $(ARGS)

claims: deps ## list the claims
	@$(CARGO_RUN) claims $(ARGS)

shell: deps ## boot it and give an interactive shell
	@$(CARGO_RUN) shell $(CHOICE) --executor $(EXECUTOR) $(ARGS)

lint: deps ## check formatting and lints
	@cargo fmt --all --check
	@cargo clippy --locked --release --workspace --all-targets -- -D warnings

clean: ## remove what was built here; the cache stays (vremount cache clean)
	@cargo clean
