# What one can do here. `make` lists it.

CARGO ?= cargo
KGE := $(CARGO) run --bin kge --
# What a newcomer needs first; `make plugins` builds all.
FIRST := complex distmult transe
COMPONENTS := $(FIRST:%=plugins/components/%.wasm)

.PHONY: help demo test lint fmt plugins docs bench images ci setup

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(COMPONENTS) ## train on a small real graph, show answers, serve them
	$(KGE) demo

# The tests' own build of the command makes the models, so that nothing is compiled twice.
test: setup ## set up and pass all tests
	$(CARGO) test --workspace --no-run
	$${CARGO_TARGET_DIR:-target}/debug/kge plugin build
	[ -z "$$CI" ] || KGE=$$(realpath $${CARGO_TARGET_DIR:-target})/debug/kge plugins/languages/build
	$(CARGO) test --workspace

lint: setup ## formatting and clippy, as CI does
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## format everything
	$(CARGO) fmt --all

plugins: setup ## build the scoring models to plugins/components/
	$(KGE) plugin build

docs: ## build the book to target/book/
	@bash .ci/mdbook build docs

# MEASURE takes further flags, of the other peers: `docs/benchmarks/measure --help`.
bench: plugins ## measure, with PEERS=python3 beside PyTorch and PyKEEN; draw the book's benchmarks
	docs/benchmarks/measure $(PEERS:%=--peers %) $(MEASURE)
	docs/benchmarks/draw

images: ## build the four images by Nix and load them into Docker
	images/build

ci: ## what CI runs
	bash .ci/run

setup: # a C compiler, and something that compiles Rust to wasm32
	@bash .ci/setup

$(COMPONENTS) &: | setup
	for model in $(FIRST); do \
	  $(KGE) plugin build plugins/$$model --out plugins/components || exit; done
