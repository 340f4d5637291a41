# Centrifuge. "make" lists the targets.

# Installed and built files go to folders that git ignores.
TOOLS := .tools
BUILD := .build

PORT     ?= 8080
DATA_DIR ?= .data

FUNCTIONS     := $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go))
GOARCH_LAMBDA ?= arm64
STAGE         ?= dev
DEMO          ?= false
RETAIN        ?= true
MONITORING    ?= true
ADMIN         ?= true
HOOKS         ?= true
PINGS         ?= false

# The flags of programs: Go's cache then compiles a package once for all of them.
GO_BUILD := CGO_ENABLED=0 go build -trimpath

AIR_VERSION         := v1.67.4
GOLANGCI_VERSION    := v2.15.0
GOVULNCHECK_VERSION := v1.8.0

# The CDK command line, pinned by infra/package-lock.json. It is installed outside
# infra/, because Go would take the templates in it for packages.
CDK         := $(TOOLS)/cdk/node_modules/.bin/cdk
CDK_CONTEXT  = -c stage=$(STAGE) -c demo=$(DEMO) -c retain=$(RETAIN) -c monitoring=$(MONITORING) \
	-c admin=$(ADMIN) -c hooks=$(HOOKS) -c pings=$(PINGS) \
	-c architecture=$(if $(filter amd64,$(GOARCH_LAMBDA)),x86_64,arm64) \
	$(if $(ALARMS),-c alarms=$(ALARMS)) $(if $(DOMAIN),-c domain=$(DOMAIN)) \
	$(if $(API_DOMAIN),-c api-domain=$(API_DOMAIN)) $(if $(CERTIFICATE),-c certificate=$(CERTIFICATE)) \
	$(if $(ZONE),-c zone=$(ZONE)) \
	$(if $(DEFAULT_PROJECT),-c default-project=$(DEFAULT_PROJECT)) \
	$(if $(RESERVED_CONCURRENCY),-c reserved-concurrency=$(RESERVED_CONCURRENCY))

# A linter for templates, pinned by infra/lint/requirements.txt.
CFN_LINT := $(TOOLS)/cfn-lint/bin/cfn-lint

# An IAM simulator, pinned by infra/iam/package-lock.json.
IAM := $(TOOLS)/iam

# A validator for OpenAPI documents, pinned by pkg/serverapi/lint/requirements.txt.
OPENAPI_VALIDATOR := $(TOOLS)/openapi/bin/openapi-spec-validator

# The AWS SDKs, schemathesis and the clients of Centrifugo of make test-clients.
CLIENTS_PYTHON := $(TOOLS)/clients/python
CLIENTS_JARS   := $(TOOLS)/clients/jars
MAVEN_COPY     := org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies

# CDK runs on these versions of Node and would print a banner.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 18,20

.DEFAULT_GOAL := help
.PHONY: help setup run dev build test test-go test-infra test-dynamodb-local test-clients oracles lint lint-template lint-api test-iam \
	templates emulated test-deploy localstack-up localstack-deploy localstack-test localstack-down admin-password smoke probe fuzz soak hammer bench load \
	synth bootstrap deploy destroy seed invoke vulncheck cover clean FORCE

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- on one machine ----

# The local stack installs a DynamoDB itself, and its tests a browser, on first use.
setup: ## Install everything from npm now, which the local stack and its tests install on first use
	@cd localstack && npm ci --ignore-scripts

# The environment carries the values, because a path may hold spaces and quotes.
run dev invoke: export PORT := $(PORT)
run dev invoke: export DATA_DIR := $(DATA_DIR)
run: export LAMBDA := $(LAMBDA)

run: ## Run the whole service: HOST=127.0.0.1 PORT=8080 (or LISTEN=127.0.0.1:8000) DATA_DIR=.data SEED=file.json JITTER=0 QUIET=1; LAMBDA=process runs the bootstraps
	@mkdir -p $(BUILD)
	@echo "building the local stack (the first time takes a minute)"
	@$(GO_BUILD) -o $(BUILD)/localstack ./localstack
	@if [ "$(LAMBDA)" = process ]; then \
		$(MAKE) --no-print-directory --silent build BUILD=$(BUILD)/native GOARCH_LAMBDA=$$(go env GOARCH); fi
	@exec $(BUILD)/localstack

dev: $(TOOLS)/bin/air-$(AIR_VERSION) ## Run the whole service, and start it again when a source file changes
	@exec $< -c localstack/air.toml

$(TOOLS)/bin/air-$(AIR_VERSION):
	@echo "building air $(AIR_VERSION) (once)"
	@mkdir -p $(TOOLS)/bin
	@GOBIN="$(CURDIR)/$(TOOLS)/bin" go install github.com/air-verse/air@$(AIR_VERSION)
	@mv $(TOOLS)/bin/air $@

invoke: ## Invoke one function: FUNCTION=auth EVENT=events/auth/sha256-token.json
	@test -n "$(FUNCTION)" -a -n "$(EVENT)" || { echo "set FUNCTION and EVENT: make invoke FUNCTION=auth EVENT=events/auth/sha256-token.json"; exit 2; }
	@go run ./localstack invoke "$(FUNCTION)" "$(EVENT)"

load: ## Run cent bench on a stack of its own: 1,000 clients, 100 messages; LOAD="--clients 200 --messages 50"
	@mkdir -p $(BUILD)
	@$(GO_BUILD) -o $(BUILD)/cent ./pkg/cent/cmd/cent
	@$(GO_BUILD) -o $(BUILD)/load ./localstack/load
	@$(BUILD)/load $(BUILD)/cent bench news:load --clients 1000 --messages 100 --size 200 --rate 0 --parallel 1 --yes $(LOAD)

# ---- checks ----

test: test-go test-infra ## Run all tests; no test is ever skipped

test-go: ## Run the Go tests except those of the CDK stack, with the race detector
	go test -race -parallel 8 $$(go list ./functions/... ./pkg/... ./localstack/... | grep -v /localstack/sdk$$)
	go test ./localstack/sdk

test-infra: ## Run the tests of the CDK stack; the first run compiles CDK, which takes two minutes
	go test ./infra/...

test-dynamodb-local: ## Run the tests of the store and the hub, random rounds and the fault matrix on DynamoDB Local; needs Java 17 and an AWS account (its licence)
	go run ./localstack/dynamodb/local go test -count=1 ./pkg/store/... ./pkg/hub/... ./localstack/soak
	go run ./localstack/dynamodb/local go test -count=1 -run '^TestFaultMatrix$$' ./localstack/stack

test-clients: $(CLIENTS_PYTHON)/installed $(CLIENTS_JARS)/installed ## Call the local stack with AWS SDKs of three languages and Centrifugo's clients for Python, and test the server API with schemathesis; needs Python 3.11, Java 17 and Maven
	@go run ./localstack/clients $(CLIENTS_PYTHON) $(CLIENTS_JARS)

oracles: ## Run the own tests of Go libraries of Centrifugo, from the module cache, against the local stack on port 8000
	@go run ./localstack/oracle

$(CLIENTS_PYTHON)/installed: localstack/clients/python/requirements.txt
	@echo "installing boto3, schemathesis, cent and centrifuge-python, from PyPI"
	@python3 -m venv --clear $(CLIENTS_PYTHON)
	@$(CLIENTS_PYTHON)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(CLIENTS_JARS)/installed: localstack/clients/java/pom.xml
	@echo "installing the AWS SDK for Java, with Maven"
	@rm -rf $(CLIENTS_JARS) && mkdir -p $(CLIENTS_JARS)
	@mvn --quiet --batch-mode -Dstyle.color=never --file $< $(MAVEN_COPY) -DincludeScope=runtime -DoutputDirectory="$(CURDIR)/$(CLIENTS_JARS)"
	@touch $@

lint: $(TOOLS)/bin/golangci-lint-$(GOLANGCI_VERSION) ## Check style and common mistakes
	$< run ./...

$(TOOLS)/bin/golangci-lint-$(GOLANGCI_VERSION):
	@echo "building golangci-lint $(GOLANGCI_VERSION) (takes some minutes, once)"
	@mkdir -p $(TOOLS)/bin
	@GOBIN="$(CURDIR)/$(TOOLS)/bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/bin/golangci-lint $@

# The templates with the default options and with every option.
templates: $(BUILD)/infra
	@rm -rf $(BUILD)/template
	@CDK_OUTDIR=$(BUILD)/template/default CDK_CONTEXT_JSON='{"assets":"infra/stack/testdata/build"}' $(BUILD)/infra
	@CDK_OUTDIR=$(BUILD)/template/full CDK_CONTEXT_JSON="$$(cat infra/lint/options.json)" $(BUILD)/infra

test-iam: $(IAM)/installed templates ## Ask an IAM simulator which requests the policies of the stack allow and deny
	@go run ./infra/iam $(IAM) $(BUILD)/template/*/*.template.json

$(IAM)/installed: infra/iam/package.json infra/iam/package-lock.json infra/iam/.npmrc infra/iam/simulate.mjs
	@echo "installing the IAM simulator, from npm"
	@mkdir -p $(IAM) && cp $^ $(IAM)/
	@cd $(IAM) && npm ci --ignore-scripts --no-fund --no-audit
	@touch $@

lint-template: $(CFN_LINT) templates ## Check the templates with the default options and with every option
	@$(CFN_LINT) --config-file infra/lint/cfnlint.yaml -t $(BUILD)/template/*/*.template.json localstack/probe/failure.json
	@echo "cfn-lint has no findings except those explained in infra/lint/cfnlint.yaml"

$(CFN_LINT): infra/lint/requirements.txt
	@echo "installing cfn-lint, from PyPI"
	@python3 -m venv --clear $(TOOLS)/cfn-lint
	@$(TOOLS)/cfn-lint/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

lint-api: $(OPENAPI_VALIDATOR) ## Check the OpenAPI document of the server API
	@$< --schema 3.1 --validation-errors all pkg/serverapi/openapi.json

$(OPENAPI_VALIDATOR): pkg/serverapi/lint/requirements.txt
	@echo "installing openapi-spec-validator, from PyPI"
	@python3 -m venv --clear $(TOOLS)/openapi
	@$(TOOLS)/openapi/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

FUZZTIME ?= 1m
fuzz: ## Fuzz every decoder: FUZZTIME=1m each
	@grep -rl --include='*_test.go' '^func Fuzz' functions localstack pkg | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' "$$file"); do \
			echo "$$target in $$(dirname $$file)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "./$$(dirname $$file)" || exit 1; \
		done; \
	done

SOAK ?= 10m
soak: ## Play random rounds against the whole service, and print their seed: SOAK=10m SEED=… ROUND=…
	go test -v -count=1 -timeout 0 -run '^TestSoak$$' ./localstack/soak -soak $(SOAK) $(if $(SEED),-seed $(SEED)) $(if $(ROUND),-round $(ROUND))

HAMMER  ?= 30s
CLIENTS ?= 1000
hammer: ## Publish to streams while functions are killed, and print what arrived: HAMMER=30s CLIENTS=1000 SEED=…
	go test -v -count=1 -timeout 0 -run '^TestHammer(SDK)?$$' ./localstack/hammer -hammer $(HAMMER) -clients $(CLIENTS) $(if $(SEED),-seed $(SEED))

bench: build ## Measure posting, streams, the bootstraps and the handshake
	@$(MAKE) --no-print-directory build BUILD=$(BUILD)/native GOARCH_LAMBDA=$$(go env GOARCH)
	go run ./localstack/coldstart $(BUILD) $(BUILD)/native
	go run ./pkg/delivery/bench
	go run ./localstack/streambench

vulncheck: ## Look for known vulnerabilities; needs vuln.go.dev
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

cover: ## Print the coverage of the tests by package
	go test -coverpkg=./pkg/... -coverprofile=coverage.out ./functions/... ./pkg/... ./localstack/... && go tool cover -func=coverage.out | tail -1

# ---- on emulators ----

$(BUILD)/deploy/deploy: FORCE
	@$(GO_BUILD) -o $@ ./localstack/deploy

# Emulators run bootstraps that are built for this machine.
emulated: $(CDK) $(BUILD)/infra $(BUILD)/deploy/deploy
	@$(MAKE) --no-print-directory --silent build BUILD=$(BUILD)/native GOARCH_LAMBDA=$$(go env GOARCH)

test-deploy: emulated $(CLIENTS_PYTHON)/installed ## Deploy on MiniStack, run every conversation there, destroy; needs Git and Python 3.11, no Docker
	@exec $(BUILD)/deploy/deploy ministack $(CLIENTS_PYTHON)

localstack-up: $(BUILD)/deploy/deploy ## Start LocalStack, needs Docker and LOCALSTACK_AUTH_TOKEN
	@$< localstack up

localstack-deploy: emulated ## Deploy on LocalStack
	@$(BUILD)/deploy/deploy localstack deploy

localstack-test: $(BUILD)/deploy/deploy $(CLIENTS_PYTHON)/installed ## Run every conversation on LocalStack; needs Python 3.11
	@$< localstack test $(CLIENTS_PYTHON)

localstack-down: $(BUILD)/deploy/deploy ## Stop LocalStack and delete its data
	@$< localstack down

# ---- on AWS ----

build: $(FUNCTIONS:%=build-%) ## Build the bootstrap of every Lambda: GOARCH_LAMBDA=arm64

# Go's cache decides what to rebuild: make does not know the dependencies in pkg/.
# (A pattern target cannot be .PHONY; no file has such a name.)
build-%:
	@mkdir -p $(BUILD)/$*
	GOOS=linux GOARCH=$(GOARCH_LAMBDA) $(GO_BUILD) -tags lambda.norpc -ldflags='-s -w' -o $(BUILD)/$*/bootstrap ./functions/$*

# Functions with pages serve the browser build of npm centrifuge, which is beside their
# bootstraps and in their zip.
build-admin: $(BUILD)/admin/centrifuge.js
build-demo: $(BUILD)/demo/centrifuge.js

$(BUILD)/%/centrifuge.js: localstack/package-lock.json $(wildcard localstack/bundle/*.go)
	@go run ./localstack/bundle/write $@

$(BUILD)/infra: FORCE
	go build -o $@ ./infra

$(CDK): infra/package.json infra/package-lock.json infra/.npmrc
	@echo "installing the CDK command line, from npm"
	@mkdir -p $(TOOLS)/cdk && cp $^ $(TOOLS)/cdk/
	@cd $(TOOLS)/cdk && npm ci --no-fund --no-audit
	@touch $@

synth: $(CDK) build $(BUILD)/infra ## Write the CloudFormation template to cdk.out/, offline
	$(CDK) --app $(BUILD)/infra synth --quiet --output cdk.out $(CDK_CONTEXT)

# The command line runs the app to find out where to bootstrap, and the app needs the
# functions.
bootstrap: $(CDK) build $(BUILD)/infra ## Prepare an account and region for deployments, once: BOOTSTRAP="options of cdk bootstrap"
	$(CDK) --app $(BUILD)/infra bootstrap $(CDK_CONTEXT) $(BOOTSTRAP)

deploy: $(CDK) build $(BUILD)/infra ## Deploy to AWS: STAGE=dev DEMO=false RETAIN=true MONITORING=true ADMIN=true HOOKS=true PINGS=false ALARMS=… DOMAIN=…
	$(CDK) --app $(BUILD)/infra deploy $(CDK_CONTEXT) --outputs-file $(BUILD)/outputs.json

destroy: $(CDK) build $(BUILD)/infra ## Delete the stack; the table stays unless it was deployed with RETAIN=false
	$(CDK) --app $(BUILD)/infra destroy $(CDK_CONTEXT)

admin-password: $(BUILD)/deploy/deploy ## Set a new admin password on AWS and print it once; ends the sessions with the earlier one
	@$< admin-password

smoke: $(BUILD)/deploy/deploy ## Run every conversation on a deployment: E2E_PROJECT, E2E_SECRET, E2E_API_KEY
	@$< smoke

probe: $(BUILD)/deploy/deploy ## Ask a deployment what AWS does not document, and measure, for a few cents: PROBE="--yes --idle"
	@$< probe $(PROBE)

seed: ## Write projects into a table on AWS: TABLE=name SEED=file.json
	@test -n "$(TABLE)" -a -n "$(SEED)" || { echo "set TABLE and SEED: make seed TABLE=centrifuge-dev-… SEED=projects.json"; exit 2; }
	@go run ./localstack seed "$(TABLE)" "$(SEED)"

clean: ## Remove built and installed files, but not the data
	rm -rf $(BUILD) $(TOOLS) cdk.out coverage.out localstack/node_modules
