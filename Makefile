# Every target a person or CI needs. `make lab` is the one to start with.
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
TARGET = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: all build lab test lint purity unit e2e fuzz bench interop image deb clean packages

all: build

build: ## target/release/manx
	$(CARGO) build --release --locked

packages: ## what the lab and the tests need from Debian; quick when it is there already
	.ci/apt-packages.sh

lab: packages ## two nodes, a BIRD ToR and a GoBGP spine in namespaces; ONCE=1 prints the result and ends
	$(CARGO) build --release --locked -p manx -p interop-tests --bin manx --bin lab
	ONCE=$(ONCE) MANX_BIN=$(CURDIR)/target/release/manx target/release/lab

test: packages lint purity unit e2e fuzz ## everything CI runs

lint:
	$(CARGO) fmt --all --check
	cd interop-tests/fuzz && $(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	.ci/deny.sh

purity: ## the cores build without tokio, sockets or netlink
	.ci/purity.sh

unit:
	$(CARGO) test --workspace --exclude interop-tests --locked

e2e: ## real BIRD and GoBGP in namespaces; needs root
	$(CARGO) build --locked -p manx
	MANX_BIN=$(CURDIR)/target/debug/manx $(CARGO) test -p interop-tests --locked

fuzz: packages ## every fuzz target for a few seconds; SECONDS_EACH=3600 for hours
	.ci/fuzz.sh $(SECONDS_EACH)

bench: ## manx and its peers through the same scenarios: SCENARIO=rr,flap DAEMONS=manx,bird RUNS=3 LIMIT=60 FORCE=1
	.ci/apt-packages.sh bgpd:openbgpd
	$(CARGO) build --release --locked -p manx -p interop-tests --bin manx --bin bench
	MANX_BIN=$(TARGET)/release/manx $(TARGET)/release/bench

interop image deb:
	@echo "make $@: not in this version" >&2; exit 2

clean:
	$(CARGO) clean
