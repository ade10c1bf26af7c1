# SPDX-License-Identifier: MIT OR Apache-2.0
# Each target installs what is missing, builds what it needs, and repeats nothing that is cached.
# `make help` lists all targets.

# Kernel base: a name from ci/bases.toml, git:URL#COMMIT, or tarball:PATH-OR-URL.
BASE ?= $(shell sed -n 's/^default = "\([^"]*\)".*/\1/p' ci/bases.toml)
# Git work tree of a kernel, instead of BASE.
TREE ?=
# Bases of matrix, separated by spaces; all if empty.
BASES ?=
# Number of patches to apply, 0 to 4.
LEVEL ?= 4
# auto, qemu or uml.
EXECUTOR ?= auto
# Ends of bisect: commits of TREE.
GOOD ?=
BAD ?=
# Ends of bisect: two released versions, GOOD..BAD.
RELEASES ?=
# Claim and filesystem of reproduce.
CLAIM ?= reuse
FS ?= ext4
# Number of inputs for each test of fuzz.
CASES ?= 400000
# Where install puts the command; DESTDIR is put in front of it.
PREFIX ?= /usr/local
DESTDIR ?=
# Versions of cargo-mutants and mdbook that are installed if there is none.
CARGO_MUTANTS ?= 27.1.0
MDBOOK ?= 0.5.4
# More options of the command, as words of a shell: ARGS="--claim reuse".
ARGS ?=

# What help prints.
VARIABLES = BASE TREE BASES LEVEL EXECUTOR GOOD BAD RELEASES CLAIM FS CASES PREFIX DESTDIR ARGS

# One word of a shell command line, whatever characters it has.
quote = '$(subst ','\'',$(1))'

CARGO_RUN = cargo run --quiet --locked --release --package vremount --bin vremount --
SOURCE = $(if $(TREE),--tree $(call quote,$(TREE)),--base $(call quote,$(BASE)))
KERNEL = $(SOURCE) --level $(call quote,$(LEVEL))
# Options of commands whose default executor is User Mode Linux.
UML_EXECUTOR = --executor $(call quote,$(EXECUTOR:auto=uml))
# Fails if TREE is set: the target needs a series from patches/.
TREE_IS_SET = error: $@ tests the series of a BASE, and a TREE has its own series; unset TREE
REFUSE_TREE = $(if $(TREE),echo $(call quote,$(TREE_IS_SET)) >&2; exit 2,:)

.DEFAULT_GOAL := help
.PHONY: help verify check test matrix test-debug check-series kernel claims shell reproduce bisect \
	explore mutants coverage mutants-harness fuzz bench bench-harness lint doc book pictures install deps clean

help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s:\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@printf '\nVariables and their values:\n'
	@printf '  %s\n' $(foreach name,$(VARIABLES),$(name)=$(call quote,$($(name))))
	@printf '\ndocs/reference/commands.md describes them.\n'

##@ Test the patches

verify: deps ## build and boot a kernel and check the claims
	@$(CARGO_RUN) verify $(KERNEL) --executor $(call quote,$(EXECUTOR)) $(ARGS)

check: deps ## after an edit, in less than a minute: formatting, clippy, unit tests, ext4 claims under User Mode Linux
	@cargo fmt --all --check
	@cargo clippy --quiet --locked --release --workspace --all-targets -- -D warnings
	@cargo test --quiet --locked --release --workspace --lib --bins
	@$(CARGO_RUN) verify $(SOURCE) --executor uml --fs ext4 $(ARGS)

test: deps ## run every test: unit tests, claims at every level, scripts, bisections, reports in a browser
	@ci/install-deps chromium
	@$(CARGO_RUN) kernel $(SOURCE) --level 0
	@$(CARGO_RUN) kernel $(SOURCE) --level 4
	@BASE=$(call quote,$(BASE)) cargo test --locked --release --workspace $(ARGS)

matrix: deps ## check the claims on all BASES and executors, in one table
	@$(CARGO_RUN) matrix $(foreach base,$(BASES),--base $(call quote,$(base))) \
		$(foreach executor,$(EXECUTOR:auto=),--executor $(call quote,$(executor))) $(ARGS)

test-debug: deps ## check the claims on a debug kernel: lockdep, kmemleak, KASAN
	@$(CARGO_RUN) verify $(KERNEL) --config debug --executor uml $(ARGS)
	@$(CARGO_RUN) verify $(KERNEL) --config debug --executor qemu --fs ext4 $(ARGS)

check-series: deps ## check the patches of every base with the tools of kernel reviewers
	@$(CARGO_RUN) check-series $(ARGS)

kernel: deps ## obtain, patch and build the kernel
	@$(CARGO_RUN) kernel $(KERNEL) $(ARGS)

##@ Investigate

claims: deps ## list the claims
	@$(CARGO_RUN) claims $(ARGS)

shell: deps ## open a shell in a machine
	@$(CARGO_RUN) shell $(KERNEL) --executor $(call quote,$(EXECUTOR)) $(ARGS)

reproduce: ## print CLAIM on FS as a shell script that does not need vremount
	@$(CARGO_RUN) reproduce $(call quote,$(CLAIM)) --fs $(call quote,$(FS)) $(ARGS)

bisect: deps ## find the commit or release that broke a claim: TREE, GOOD and BAD, or RELEASES
	@$(CARGO_RUN) bisect $(if $(RELEASES),--releases $(call quote,$(RELEASES)),--tree $(call quote,$(TREE)) \
		--good $(call quote,$(GOOD)) --bad $(call quote,$(BAD))) $(UML_EXECUTOR) $(ARGS)

##@ Test the tests

explore: deps ## compare the kernel with the model, over 10,000 sequences of operations
	@$(CARGO_RUN) explore $(KERNEL) --executor $(call quote,$(EXECUTOR)) $(ARGS)

mutants: deps ## try faulty versions of the series, each of which a claim must detect
	@$(REFUSE_TREE)
	@$(CARGO_RUN) mutants --base $(call quote,$(BASE)) $(UML_EXECUTOR) $(ARGS)

coverage: deps ## show which lines and branches of the series the claims execute
	@$(REFUSE_TREE)
	@$(CARGO_RUN) coverage --base $(call quote,$(BASE)) $(UML_EXECUTOR) \
		-o $(call quote,target/coverage-$(BASE).html) $(ARGS)

mutants-harness: deps ## try faulty versions of the harness, each of which a unit test must detect
	@command -v cargo-mutants >/dev/null || \
		cargo install --locked cargo-mutants --version $(call quote,$(CARGO_MUTANTS))
	@cargo mutants --output target $(ARGS)

fuzz: ## feed random input to the parsers, about ten minutes
	@PROPTEST_CASES=$(call quote,$(CASES)) cargo test --locked --release --package vremount --test parsers $(ARGS)
	@PROPTEST_CASES=$(call quote,$(CASES)) cargo test --locked --release --package vremount-guest $(ARGS)

##@ Measure

bench: deps ## measure what reuse saves; ARGS=--quick takes less than two minutes
	@$(CARGO_RUN) bench $(KERNEL) $(ARGS)

bench-harness: deps ## measure the speed of the harness: boot, verdict, memory
	@$(CARGO_RUN) bench-harness $(KERNEL) $(ARGS)

##@ Develop and install

lint: deps ## check formatting, clippy, shell scripts, and dependencies if cargo-deny is installed
	@cargo fmt --all --check
	@git ls-files -z | xargs -0 awk 'FNR == 1 && (/^#!.*sh/ || FILENAME ~ /\.sh$$/) { printf "%s%c", FILENAME, 0 }' \
		| xargs -0 shellcheck --external-sources
	@cargo clippy --locked --release --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; fi

doc: deps ## build the documentation of the crates in target/doc, without warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --locked --release --workspace --no-deps

# Claims of each kind, so that the table fits on a screen.
PICTURE_CLAIMS = reuse reuse-without-sync reuse-with-index durable-then-volatile volatile-then-durable \
	second-mount-while-in-use no-checkpoint random-checkpoint overlay-reloaded machine-rebooted power-cut \
	upper-remounted error-unseen error-while-mounted no-space-below read-error-is-not-seen

pictures: deps ## make the pictures of README.md from a real run
	@ci/install-deps chromium
	@mkdir -p docs/images
	@$(CARGO_RUN) verify $(KERNEL) --executor uml $(addprefix --claim ,$(PICTURE_CLAIMS)) \
		--svg docs/images/verify.svg -o target/pictures.html
	@chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,900 \
		--screenshot=docs/images/report.png 'file://$(CURDIR)/target/pictures.html' 2>/dev/null

book: ## build the pages of docs/ as a book in target/book
	@command -v mdbook >/dev/null || cargo install --locked mdbook --version $(call quote,$(MDBOOK))
	@mdbook build docs

install: deps ## install the command, its man pages and shell completions below PREFIX
	@cargo build --quiet --locked --release --package vremount
	@rm -rf target/share
	@cargo run --quiet --locked --release --package vremount --bin vremount-docs -- target/share
	@install -D -m 755 "$${CARGO_TARGET_DIR:-target}/release/vremount" $(call quote,$(DESTDIR)$(PREFIX)/bin/vremount)
	@find target/share -type f -printf '%P\n' | while IFS= read -r file; do \
		install -D -m 644 "target/share/$$file" $(call quote,$(DESTDIR)$(PREFIX)/share)/"$$file" || exit 1; done
	@echo installed $(call quote,$(DESTDIR)$(PREFIX)/bin/vremount)

deps: ## install the Debian packages that are missing
	@ci/install-deps

clean: ## remove what was built here; the cache stays, see `vremount cache`
	@cargo clean
