# Sema: everything here needs Go and nothing else, unless a target says so.
GO      ?= go
BIN     := bin/sema
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export CGO_ENABLED ?= 0

.PHONY: build run test test-race fuzz lint generate bench clean

build: ## the static binary
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) .

run: build ## serve on :8000 what is on this machine: MODEL_DIR, the Hub's cache, or the embedded demo models
	HF_HUB_OFFLINE=$${HF_HUB_OFFLINE:-true} ./$(BIN) serve

test: ## all tests
	$(GO) test ./...

test-race: ## all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short ./...

FUZZTIME ?= 20s
fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

lint: ## gofmt, vet, and golangci-lint where it is installed
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: import rules are checked by TestImportsPointOneWay"; fi

generate: ## generated files again (needs the modules of their generators)
	$(GO) generate ./...

bench: ## benchmarks
	$(GO) test -run '^$$' -bench . -benchtime 200ms ./...

clean:
	rm -rf bin
