# What one can do here. `make` lists it.

CARGO ?= cargo
# What a newcomer needs first; `make plugins` builds all.
FIRST := complex distmult transe
COMPONENTS := $(FIRST:%=plugins/components/%.wasm)

.PHONY: help demo test lint fmt plugins docs images ci setup

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(COMPONENTS) ## train on a small real graph, show answers, serve them
	$(CARGO) run --bin kge -- demo

test: plugins ## set up and pass all tests
	$(CARGO) test --workspace

lint: setup ## formatting and clippy, as CI does
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## format everything
	$(CARGO) fmt --all

plugins: setup ## build the scoring models to plugins/components/
	$(CARGO) run -p kge-plugin --example build-plugins

docs: ## build the book to target/book/
	@bash .ci/mdbook build docs

images: ## build the four images by Nix and load them into Docker
	images/build

ci: ## what CI runs
	bash .ci/run

setup: # a C compiler, and something that compiles Rust to wasm32
	@bash .ci/setup

$(COMPONENTS) &: | setup
	$(CARGO) run -p kge-plugin --example build-plugins -- $(FIRST)
