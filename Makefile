SHELL := bash
.DEFAULT_GOAL := help

# Tools are pinned here and kept outside the checkout, so that clones share them.
GOLANGCI_LINT_VERSION      := v2.15.0
BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
# The S3 server of the tests; test/s3test knows it by this version, too.
VERSITYGW_VERSION          := v1.8.0

# go-sdk's conformance server, a real MCP server; test/mcptest knows it by this version, too.
EVERYTHING_SERVER_VERSION  := v1.8.0

CACHE              := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/agentarea
TOOLS              := $(CACHE)/bin
GOLANGCI_LINT      := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
BUF                := $(TOOLS)/buf-$(BUF_VERSION)/buf
PROTOC_GEN_GO      := $(TOOLS)/protoc-gen-go-$(PROTOC_GEN_GO_VERSION)/protoc-gen-go
PROTOC_GEN_GO_GRPC := $(TOOLS)/protoc-gen-go-grpc-$(PROTOC_GEN_GO_GRPC_VERSION)/protoc-gen-go-grpc
VERSITYGW          := $(TOOLS)/versitygw-$(VERSITYGW_VERSION)/versitygw
PROTO_TOOLS        := $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC)
EVERYTHING_SERVER  := $(TOOLS)/mcp-everything-server-$(EVERYTHING_SERVER_VERSION)/everything-server
# MCP's conformance suites, clients and servers from npm, with a Node to run them.
MCPTEST            := $(CACHE)/mcptest-$(shell sha256sum test/mcptest/npm/package-lock.json 2>/dev/null | cut -c1-12)/.installed
MCP_SERVERS        := $(EVERYTHING_SERVER) $(MCPTEST)
# What the tests of the clients in examples/clients need from npm.
CLIENTS            := $(CACHE)/clients-$(shell sha256sum test/clients/npm/package-lock.json 2>/dev/null | cut -c1-12)/.installed
# AGENTAREA_TEST_S3_URL names a server of one's own, and then none is installed.
S3_SERVER          := $(if $(AGENTAREA_TEST_S3_URL),,$(VERSITYGW))

# Since this commit what is said to plugins is only added to.
PROTO_BASE := 63a0c364d6d76e16e981bb2503be44af948bd5a2

MODULE := github.com/agentarea/agentarea

# The Go modules of this repository, which go.work joins, and the packages of all of them.
MODULES  := . sdk test/ops
PACKAGES := $(patsubst ./.%,.%,$(MODULES:%=./%/...))

# The race detector needs a C compiler. A machine without one still tests, and
# says so; CI insists (RACE=-race).
RACE := $(if $(shell command -v $$(go env CC)),-race)

# How long each fuzz target runs. What it learns is kept in the cache.
FUZZTIME := 10s

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build and start the server on localhost:8000; ARGS="--listen …" passes flags
	bin/agentarea serve $(ARGS)

.PHONY: build
build: ## build the server and every plugin into bin/, as they ship; VERSION=1.2.3 names the server's
	CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags '$(LDFLAGS)$(if $(VERSION), -X $(MODULE)/core/internal/app.Version=$(VERSION))' -o bin/ ./core/... ./plugins/...

.PHONY: test
test: build postgres python ops $(S3_SERVER) $(MCP_SERVERS) $(CLIENTS) ## run every test and fuzz; TEST="-run Chat ./storage/..." picks
	@[ -n "$(RACE)" ] || echo "no C compiler ($$(go env CC)) here: testing without the race detector" >&2
	go test $(RACE) -timeout 30m $(or $(TEST),$(PACKAGES))
	$(if $(TEST),,scripts/fuzz.sh $(FUZZTIME) $(CACHE)/fuzz)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s) each
	scripts/fuzz.sh $(FUZZTIME) $(CACHE)/fuzz

# The tests on PostgreSQL start a server of their own, or use AGENTAREA_TEST_POSTGRES_URL's.
# Where there is neither they are skipped; CI insists (AGENTAREA_REQUIRE_POSTGRES=1).
.PHONY: postgres
postgres:
	@[ -n "$(AGENTAREA_TEST_POSTGRES_URL)" ] || [ -x "$$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1)" ] || command -v initdb >/dev/null || { \
	  echo "the tests on PostgreSQL need its server's initdb and postgres (Debian: postgresql): install them, or name a server by AGENTAREA_TEST_POSTGRES_URL" >&2; \
	  [ -z "$(AGENTAREA_REQUIRE_POSTGRES)" ]; }

# The examples in Python run on Debian's packages.
PYTHON_PACKAGES := python3-grpcio python3-requests python3-websocket
.PHONY: python
python:
	@/usr/bin/python3 -c 'import grpc, google.protobuf, requests, websocket' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y -q $(PYTHON_PACKAGES) >/dev/null; } || { \
	  echo "the examples in Python, a plugin and a client, need grpcio, requests and websocket-client (Debian: apt-get install $(PYTHON_PACKAGES))" >&2; exit 1; }

# The tests of the image and the service use an init and systemd's checker. Where
# they are not, these are skipped; CI insists (AGENTAREA_REQUIRE_OPS=1).
.PHONY: ops
ops:
	@{ command -v tini && command -v systemd-analyze; } >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y -q --no-install-recommends tini systemd >/dev/null; } || { \
	  echo "the tests of the image and the service need tini and systemd-analyze (Debian: tini, systemd): install them" >&2; [ -z "$(AGENTAREA_REQUIRE_OPS)" ]; }

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters, the import rules among them
	$(GOLANGCI_LINT) run $(PACKAGES)
	scripts/import-rules-bite.sh $(GOLANGCI_LINT)

.PHONY: generate
generate: generate-proto generate-docs ## make the generated files anew; fetches Swagger UI, which needs npm
	scripts/swagger-ui.sh

.PHONY: generate-proto
generate-proto: $(PROTO_TOOLS)
	PATH="$(subst $() ,:,$(patsubst %/,%,$(dir $(PROTO_TOOLS)))):$$PATH" $(BUF) generate $(BUF_ARGS)

# The tests see that these are fresh.
.PHONY: generate-docs
generate-docs:
	go test ./core/internal/cli -run 'TestHelp|TestReference|TestPluginsNew_projectIsTidy' -update

.PHONY: verify
verify: $(PROTO_TOOLS) $(GOLANGCI_LINT) ## check go.mod, formatting, protos and that generated files are up to date
	set -e; for m in $(MODULES); do (cd $$m && GOWORK=off go mod verify && GOWORK=off go mod tidy -diff); done
	$(GOLANGCI_LINT) fmt --diff
	$(BUF) lint
	@if git cat-file -e '$(PROTO_BASE)^{commit}' 2>/dev/null; then $(BUF) breaking --against '.git#ref=$(PROTO_BASE)'; \
	  else echo "the history is not here: the protos are not compared with those of $(PROTO_BASE)" >&2; fi
	scripts/generated-is-fresh.sh

.PHONY: bench
bench: build $(VERSITYGW) $(MCP_SERVERS) ## measure the server beside its bare upstream, a plain proxy, cp, minio-go and other MCP gateways; BENCH="-quick -only latency,cpu" picks
	go run ./test/bench -versitygw $(VERSITYGW) -everything $(EVERYTHING_SERVER) -npm $(dir $(MCPTEST)) $(BENCH)

.PHONY: soak
soak: build postgres ## ten times the sessions of bench, to see what grows, and 100 kills at random moments on each database
	go run ./test/bench -only growth -sessions 200000 $(BENCH)
	AGENTAREA_CRASH_ROUNDS=100 go test -count=1 -timeout 60m -v -run TestServerKilledAtRandom ./test/e2e

.PHONY: clean
clean: ## remove bin/; data/ is yours and stays
	rm -rf bin

# $(call install,package,version) installs a tool into the folder of the target.
install = GOBIN=$(@D) GOFLAGS= go install $(1)@$(2)

# $(call npm,folder) installs the packages of a folder's lock file beside the target.
define npm
	@command -v npm >/dev/null || { echo "the tests need npm (Node 20 or newer): install it" >&2; exit 1; }
	mkdir -p $(@D) && cp $(1)/* $(@D) && cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts && touch $@
endef

$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_LINT_VERSION))
$(BUF):
	$(call install,github.com/bufbuild/buf/cmd/buf,$(BUF_VERSION))
$(PROTOC_GEN_GO):
	$(call install,google.golang.org/protobuf/cmd/protoc-gen-go,$(PROTOC_GEN_GO_VERSION))
$(PROTOC_GEN_GO_GRPC):
	$(call install,google.golang.org/grpc/cmd/protoc-gen-go-grpc,$(PROTOC_GEN_GO_GRPC_VERSION))
$(EVERYTHING_SERVER):
	$(call install,github.com/modelcontextprotocol/go-sdk/conformance/everything-server,$(EVERYTHING_SERVER_VERSION))
$(MCPTEST):
	$(call npm,test/mcptest/npm)
$(CLIENTS):
	$(call npm,test/clients/npm)
$(VERSITYGW):
	$(call install,github.com/versity/versitygw/cmd/versitygw,$(VERSITYGW_VERSION))
