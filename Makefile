SHELL := bash
.DEFAULT_GOAL := help

# The versions of all tools. They are installed outside the checkout, so that clones share them.
GOLANGCI_LINT_VERSION      := v2.15.0
BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
# The S3 server of the tests; test/s3test has this version, too.
VERSITYGW_VERSION          := v1.8.0
# go-sdk's conformance server, a real MCP server; test/mcptest has this version, too.
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
# MCP's conformance suites, clients and servers from npm. A folder's name has the checksum of its lock file.
sha256              = $(shell { sha256sum $(1) || shasum -a 256 $(1); } 2>/dev/null | cut -c1-12)
MCPTEST            := $(CACHE)/mcptest-$(call sha256,test/mcptest/npm/package-lock.json)/.installed
# The npm packages that the tests of the clients in examples/clients and of the OpenAPI document need.
CLIENTS            := $(CACHE)/clients-$(call sha256,test/clients/npm/package-lock.json)/.installed
# The generators of Go clients that the tests run on the OpenAPI document. Their go.mod has the versions.
GENERATORS         := $(CACHE)/generators-$(call sha256,test/clients/testdata/generated/go/go.sum)/.installed
# With AGENTAREA_TEST_S3_URL the tests use that server, and none is installed.
S3_SERVER          := $(if $(AGENTAREA_TEST_S3_URL),,$(VERSITYGW))

# The protos must be compatible with this commit: later commits only add fields and messages.
PROTO_BASE := 63a0c364d6d76e16e981bb2503be44af948bd5a2

MODULE := github.com/agentarea/agentarea

# The Go modules of this repository, which go.work joins, and the packages of all of them.
MODULES  := . sdk test/ops
PACKAGES := $(patsubst ./.%,.%,$(MODULES:%=./%/...))

# The race detector needs a C compiler. Without one, make test runs without it and says so; CI sets RACE=-race.
RACE := $(if $(shell command -v $$(go env CC)),-race)
# SQLite is translated from C. The race detector slows it down to a quarter and finds nothing in it, so SQLite
# is compiled without.
RACE_FLAGS := $(if $(RACE),$(RACE) $(foreach p,modernc.org/sqlite/lib modernc.org/libc,-gcflags=$(p)=-race=false))

# Unit tests use the race detector. These end-to-end tests run in make test-slow with servers and plugins
# that are built with it.
RACE_SMOKE := TestContract|TestStreamContract|TestReconnect|TestTwoWatchers|TestCancel|TestOneTurnAtATime|TestTask|TestTaskCancel|TestWebSocket|TestReplicas|TestServerStops|TestAgentTypeKilled|TestBackendSwapped|TestReloadsUnderLoad|TestBackupUnderLoad|TestUpload|TestDownload|TestTrace|TestPluginStatus

# The time for each fuzz target. The inputs that it finds are kept in the cache.
FUZZTIME := 10s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build and start the server on localhost:8000; ARGS="--listen …" passes flags
	bin/agentarea serve $(ARGS)

.PHONY: build
build: ## build the server and every plugin into bin/, as they ship; VERSION=1.2.3 names the server's
	CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags '$(LDFLAGS)$(if $(VERSION), -X $(MODULE)/core/internal/app.Version=$(VERSION))' -o bin/ ./core/... ./plugins/...

.PHONY: test
test: build ## run every test in its short form; TEST="-run Chat ./storage/..." selects some
	@[ -n "$(RACE)" ] || echo "testing without the race detector: there is no C compiler ($$(go env CC))" >&2
	scripts/test.sh $(if $(TEST),go test $(RACE_FLAGS) -timeout 20m $(TEST),scripts/all-tests.sh "$(RACE_FLAGS)" $(PACKAGES))

.PHONY: test-slow
test-slow: build ## run the long form of the tests that have one, the race build of the servers, and all fuzz targets
	AGENTAREA_TEST_SLOW=1 scripts/test.sh go test -timeout 30m $$(scripts/slow-tests.sh $(PACKAGES))
	AGENTAREA_TEST_RACE_BINARIES=1 scripts/test.sh go test -timeout 20m -run '^($(RACE_SMOKE))$$' ./test/e2e
	scripts/test.sh go test $(RACE_FLAGS) -timeout 20m ./plugins/...
	scripts/fuzz.sh $(FUZZTIME) $(CACHE)/fuzz

.PHONY: test-setup
test-setup: ## install what tests need beside Go: Debian packages as root, the rest into ~/.cache/agentarea
	scripts/test-packages.sh
	$(MAKE) --no-print-directory $(S3_SERVER) $(EVERYTHING_SERVER) $(MCPTEST) $(CLIENTS) $(GENERATORS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s) each
	scripts/fuzz.sh $(FUZZTIME) $(CACHE)/fuzz

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters, and check that the import rules work
	$(GOLANGCI_LINT) run $(PACKAGES)
	scripts/import-rules-bite.sh $(GOLANGCI_LINT)

.PHONY: generate
generate: generate-proto generate-docs ## generate all generated files; downloads Swagger UI, which needs npm
	scripts/swagger-ui.sh

.PHONY: generate-proto
generate-proto: $(PROTO_TOOLS)
	PATH="$(subst $() ,:,$(patsubst %/,%,$(dir $(PROTO_TOOLS)))):$$PATH" $(BUF) generate $(BUF_ARGS)

# Tests check that these files are up to date.
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
bench: build $(VERSITYGW) $(EVERYTHING_SERVER) $(MCPTEST) ## compare the server with direct calls, a plain proxy, cp, minio-go and other MCP gateways; BENCH="-quick -only latency,cpu" selects parts
	go run ./test/bench -versitygw $(VERSITYGW) -everything $(EVERYTHING_SERVER) -npm $(dir $(MCPTEST)) $(BENCH)

.PHONY: soak
soak: build ## measure memory with ten times the sessions of bench, and kill servers 100 times on each database
	go run ./test/bench -only growth -sessions 200000 $(BENCH)
	AGENTAREA_TEST_CRASH_ROUNDS=100 go test -count=1 -timeout 60m -v -run TestServerKilledAtRandom ./test/e2e

.PHONY: clean
clean: ## remove bin/, but not data/
	rm -rf bin

# $(call install,package,version) installs a tool into the folder of the target.
install = GOBIN=$(@D) GOFLAGS= go install $(1)@$(2)

# $(call npm,folder) installs the packages of a folder's lock file next to the target.
define npm
	@command -v npm >/dev/null || { echo "npm (with Node 20 or newer) is missing: install it, and run make test-setup again" >&2; exit 1; }
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
# The generated code needs more modules than the generators.
$(GENERATORS):
	mkdir -p $(@D) && cd test/clients/testdata/generated/go && export GOWORK=off GOFLAGS= && go mod download && \
	  go build -o $(@D)/ github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen github.com/ogen-go/ogen/cmd/ogen && touch $@
$(VERSITYGW):
	$(call install,github.com/versity/versitygw/cmd/versitygw,$(VERSITYGW_VERSION))
