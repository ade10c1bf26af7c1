# SPDX-License-Identifier: MIT OR Apache-2.0
# Each target is complete by itself: it installs what is missing, builds what it needs, and does nothing twice.

# A name of ci/bases.toml, git:URL#COMMIT, or tarball:PATH-OR-URL; TREE is a kernel's git work tree, in its place.
BASE ?= $(shell sed -n 's/^default = "\([^"]*\)".*/\1/p' ci/bases.toml)
TREE ?=
# For the matrix; none: all.
BASES ?=
LEVEL ?= 4
EXECUTOR ?= auto
# For bisect: commits of TREE, or released versions, GOOD..BAD.
GOOD ?=
BAD ?=
RELEASES ?=
# What to print as a script.
CLAIM ?= reuse
FS ?= ext4
# Of each test of make fuzz.
CASES ?= 400000
# The version that is installed where there is none.
CARGO_MUTANTS ?= 27.1.0
# More options for vremount, such as ARGS="--claim reuse".
ARGS ?=

CARGO_RUN = cargo run --quiet --locked --release --package vremount --
SOURCE = $(if $(TREE),--tree '$(TREE)',--base '$(BASE)')
CHOICE = $(SOURCE) --level $(LEVEL)

.DEFAULT_GOAL := help
.PHONY: help deps kernel verify matrix explore mutants mutants-harness coverage bisect reproduce test test-debug check-series fuzz bench bench-harness claims shell lint clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo 'Variables: BASE=$(BASE) TREE=$(TREE) BASES=$(BASES) LEVEL=$(LEVEL) EXECUTOR=$(EXECUTOR) GOOD=$(GOOD) BAD=$(BAD) RELEASES=$(RELEASES) CLAIM=$(CLAIM) FS=$(FS) ARGS=$(ARGS)'

deps: ## install the Debian packages that are missing
	@ci/install-deps

kernel: deps ## obtain, patch and build the kernel of BASE at LEVEL
	@$(CARGO_RUN) kernel $(CHOICE) $(ARGS)

verify: deps ## boot it and prove the claims
	@$(CARGO_RUN) verify $(CHOICE) --executor $(EXECUTOR) $(ARGS)

matrix: deps ## prove them on all BASES and executors, in one table
	@$(CARGO_RUN) matrix $(addprefix --base ,$(BASES)) $(addprefix --executor ,$(EXECUTOR:auto=)) $(ARGS)

explore: deps ## boot it and compare it with the model, over 10,000 sequences of operations
	@$(CARGO_RUN) explore $(CHOICE) --executor $(EXECUTOR) $(ARGS)

mutants: deps ## try wrong versions of the series, each of which a claim must tell from the right one
	@$(if $(TREE),echo 'error: mutants are of the series of a BASE; TREE has its own' >&2; exit 2)
	@$(CARGO_RUN) mutants --base '$(BASE)' --executor $(EXECUTOR:auto=uml) $(ARGS)

mutants-harness: deps ## try wrong versions of what decides in the harness, each of which its unit tests must notice
	@command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants --version '$(CARGO_MUTANTS)'
	@cargo mutants --output target $(ARGS)

coverage: deps ## prove the claims on a kernel that counts, and see which lines and branches of the series they execute
	@$(if $(TREE),echo 'error: coverage is of the series of a BASE; TREE has its own' >&2; exit 2)
	@$(CARGO_RUN) coverage --base '$(BASE)' --executor $(EXECUTOR:auto=uml) -o 'target/coverage-$(BASE).html' $(ARGS)

bisect: deps ## find the commit of TREE, or the release, that broke a claim: GOOD, BAD or RELEASES
	@$(CARGO_RUN) bisect $(if $(RELEASES),--releases '$(RELEASES)',--tree '$(TREE)' --good '$(GOOD)' --bad '$(BAD)') \
		--executor $(EXECUTOR:auto=uml) $(ARGS)

reproduce: ## print CLAIM on FS as a shell script that needs nothing of this
	@$(CARGO_RUN) reproduce '$(CLAIM)' --fs '$(FS)' $(ARGS)

test: deps ## run every test: units on the host, claims at every level, reports in a browser
	@ci/install-deps chromium
	@$(CARGO_RUN) kernel $(SOURCE) --level 0
	@$(CARGO_RUN) kernel $(SOURCE) --level 4
	@BASE='$(BASE)' cargo test --locked --release --workspace $(ARGS)

test-debug: deps ## prove the claims on a kernel that watches itself: lockdep, kmemleak, KASAN
	@$(CARGO_RUN) verify $(CHOICE) --config debug --executor uml $(ARGS)
	@$(CARGO_RUN) verify $(CHOICE) --config debug --executor qemu --fs ext4 $(ARGS)

fuzz: ## feed whatever reads logs, tables and arguments with what it is not for, some ten minutes
	@PROPTEST_CASES=$(CASES) cargo test --locked --release --package vremount --test parsers $(ARGS)
	@PROPTEST_CASES=$(CASES) cargo test --locked --release --package vremount-guest $(ARGS)

check-series: deps ## check the patches of every base as reviewers' tools do
	@$(CARGO_RUN) check-series $(ARGS)

bench: deps ## measure what a stop-start cycle of a container costs, each way; ARGS=--quick takes less than two minutes
	@$(CARGO_RUN) bench $(CHOICE) $(ARGS)

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
