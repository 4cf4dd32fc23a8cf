# What one does with this repository; `make` lists it. For GNU make 3.81, which macOS has, and newer.

# The tools' versions. go.mod has those of the code generators, and .ci/install.go what PostgreSQL is installed.
BUF         := 1.75.0
GOFUMPT     := 0.12.0
STATICCHECK := 0.8.2
AXE         := 4.14.1

# buf: the one on the PATH, else npm's, else built from source.
buf := $(shell command -v buf || \
	if command -v npx; then echo "--yes @bufbuild/buf@$(BUF)"; else echo "go run github.com/bufbuild/buf/cmd/buf@v$(BUF)"; fi)
gofumpt     := go run mvdan.cc/gofumpt@v$(GOFUMPT)
staticcheck := go run honnef.co/go/tools/cmd/staticcheck@v$(STATICCHECK)

# The race detector needs a C compiler.
race := $(shell test "$$(go env CGO_ENABLED)" = 1 && echo -race)

# $(call count,PATTERN) is how many lines of tests have it: as many tests, or groups of them.
count = $$(grep -rh --include='*_test.go' '$(1)' . | wc -l | tr -d ' ')

# Tells what was left out where there is no PgBouncer; internal/pgembed looks in the same places.
unpooled = PATH="$$PATH:/usr/sbin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin" command -v pgbouncer >/dev/null || \
	echo "$@: left out $(call count,pgtest\.Pooler) tests, or groups of them," \
		"for want of PgBouncer: make pgbouncer installs it"

# Tells what was left out where there is no Chromium; internal/browsertest looks for the same names.
unseen = command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	command -v google-chrome >/dev/null || test -d /Applications/Chromium.app || \
	echo "$@: left out the tests that look at the console, for want of Chromium: make chromium axe installs it"

# The contract that clients rely on: the newest release's, else the first one. A break is made on purpose by a release.
git = git -c safe.directory="$(CURDIR)"
contract = $(shell $(git) describe --tags --abbrev=0 --match 'v*' 2>/dev/null || \
	$(git) log --reverse --format=%H -- proto 2>/dev/null | head -1)

# A workspace above this tree knows nothing of its modules, and CDPATH would lead cd elsewhere.
export GOWORK := off
unexport CDPATH

# The tree may be another user's, as in a container that mounts it: git is to answer, for what it warns of, running what
# somebody else wrote, is what make is asked to do.
configs := $(or $(GIT_CONFIG_COUNT),0)
export GIT_CONFIG_COUNT := $(shell echo $$(( $(configs) + 1 )))
export GIT_CONFIG_KEY_$(configs) := safe.directory
export GIT_CONFIG_VALUE_$(configs) := $(CURDIR)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets.
	@bold= plain=; if test -t 1; then bold=$$(printf '\033[1m') plain=$$(printf '\033[0m'); fi; \
		awk -F ':.*## ' -v bold="$$bold" -v plain="$$plain" \
			'/^[a-z-]+:.*## / { printf "%s%-16s%s %s\n", bold, $$1, plain, $$2 }' Makefile

.PHONY: demo
demo: compiling postgres ## Run the whole system and watch it keep its promise.
	@go run ./sagactl demo

# What is slow says so (internal/slow) and is left out. go test's cache may answer: it sees the files that a test reads,
# and no fast test runs a program that it built. Fast tests wait for PostgreSQL more than they compute: four packages at
# a time.
.PHONY: check
check: compiling postgres lint ## Check quickly, before each commit: lint and the fast tests, less than a minute.
	go test -short -p 4 ./...
	go test -short -tags failpoints ./internal/failpoint
	for module in $(modules); do (cd $$module && go test -short ./...) || exit 1; done
	@echo "check: left out $(call count,slow\.Test.t) slow tests, or groups of them:" \
		"make test runs them, go test -short -v names them"
	@$(unpooled)

# -count=1, because go test's cache knows nothing of the daemons that tests build and run, nor of compose.yaml. -vet=off,
# because lint vets everything, and with the race detector all packages would be vetted anew. Three packages at a time
# where there are two cores: most of sagactl, of the system and of the documentation is waiting.
packages = $(shell n=$$(getconf _NPROCESSORS_ONLN) && echo $$(( n > 2 ? n : 3 )))

# Tests whose work is done by processes that they start, and by PostgreSQL, and read by them: the race detector would
# look at the readers alone. make test-long has it look at those as well.
driving := ./internal/doctest ./internal/lab/... ./internal/layout ./internal/roles ./migrations ./sagactl
within  = $$(go list ./... | grep -v -e /internal/doctest -e /internal/lab/ -e /internal/layout -e /internal/roles \
	-e /migrations -e /sagactl)

# Over a broker that must be installed, also_over=rabbitmq: an order of each amount, and paymentd killed.
also_over :=
once      := -run TestOverABrokerEachOrderEndsAsItMust ./internal/lab/stack

.PHONY: test
test: compiling postgres ## Run the tests, on real databases.
	$(if $(race),,@echo "test: there is no C compiler, so without the race detector")
	@echo "test: build the programs once for all tests"
	@built=$$(mktemp -d) && trap 'rm -rf "$$built"' EXIT && ln -s "$(CURDIR)" "$$built/tree" && \
		go build -buildvcs=false -o "$$built/plain/" ./orderd ./paymentd ./relay ./sagactl && \
		go build -buildvcs=false -tags failpoints -o "$$built/failpoints/" ./orderd ./paymentd ./relay && \
		mkdir "$$built/clusters" && export HOSHO_BUILT="$$built" HOSHO_CLUSTERS="$$built/clusters" && set -x && \
		go test $(race) -p $(packages) -vet=off -count=1 -shuffle=on -timeout 9m $(within) && \
		go test -p $(packages) -vet=off -count=1 -shuffle=on -timeout 9m $(driving) && \
		$(if $(also_over),HOSHO_TEST_BROKERS=$(also_over) go test -vet=off -count=1 $(once) &&) \
		for module in $(modules); do (cd $$module && go test -count=1 -shuffle=on ./...) || exit 1; done
	go test -tags failpoints -count=1 -shuffle=on ./internal/failpoint
	@echo "test: left out $(call count,slow\.Long.t) tests: make test-long runs them"
	@$(unpooled)
	@$(unseen)

.PHONY: test-browser
test-browser: compiling postgres chromium axe ## Look at the console in Chromium, at all of it: about 5 min.
	cd internal/browsertest && HOSHO_TEST_LONG=1 go test -count=1 -timeout 20m ./...

# The packages whose tests are over brokers, and those where some are: each of these says so by brokertest.Each.
over_brokers := ./internal/broker/... ./internal/lab/brokers
among        := ./paymentd ./sagactl ./internal/lab/demo ./internal/lab/stack
over_each     = $$(awk '/^func Test/ { name = $$2; sub(/\(.*/, "", name) } \
	/(brokertest\.Each|overBrokers)\(t,/ { print name }' $(among:=/*_test.go) | paste -s -d '|' -)

.PHONY: test-brokers
test-brokers: compiling postgres rabbitmq kafka ## Run the tests over brokers on NATS, RabbitMQ and Kafka: 5 to 10 min.
	HOSHO_TEST_BROKERS=nats,rabbitmq,kafka go test -p 1 -count=1 -timeout 30m $(over_brokers)
	HOSHO_TEST_BROKERS=nats,rabbitmq,kafka go test -p 1 -count=1 -timeout 1h -run "^($(over_each))$$" $(among)

# Where Go's fuzzing makes the input up. make test runs each with its seeds and draws requests by their types, since the
# first build for fuzzing takes minutes.
fuzzed   := ./internal/page:FuzzRead ./relay/internal/dispatch:FuzzRefusal \
	./orderd:FuzzRequests ./orderd:FuzzDoor ./paymentd:FuzzRequests ./relay:FuzzRequests
fuzztime := 1m

.PHONY: fuzz
fuzz: compiling postgres ## Have Go make up input, for a minute each; longer: fuzztime=1h.
	@for target in $(fuzzed); do \
		echo "fuzz: $$target"; \
		go test -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime $(fuzztime) "$${target%:*}" || exit 1; \
	done

# The packages whose tests walk at random.
walking := ./internal/orderdb ./internal/outbox ./internal/page ./internal/paymentdb ./orderd ./paymentd ./relay

.PHONY: test-long
test-long: compiling postgres ## Run what is random far longer than CI can: about 40 min.
	go test $(race) -count=1 -timeout 1h $(walking) -rapid.checks=3000
	HOSHO_TEST_LONG=1 go test $(race) -count=5 -shuffle=on -timeout 1h ./...
	HOSHO_GRPCURL=real go test -count=1 ./internal/doctest
	HOSHO_TEST_LONG=1 $(MAKE) test-brokers
	$(MAKE) test-browser
	$(MAKE) fuzz

# Each line is a run of its own: everything mixed, with three seeds; the failpoints by themselves; the faults whose
# recovery doc/chaos.md tells; and those that take long to show.
chaos := \
	"--duration 10m --clients 64 --seed 101" \
	"--duration 10m --clients 64 --seed 202" \
	"--duration 10m --clients 64 --seed 303" \
	"--duration 60m --quick --faults die-orderd,die-paymentd,die-relay" \
	"--duration 3m --faults kill-relay --length 1s" \
	"--duration 3m --faults kill-paymentd --length 1s" \
	"--duration 3m --faults crash-orders --length 2s" \
	"--duration 3m --faults crash-payments --length 2s" \
	"--duration 3m --faults net-blackhole --length 15s" \
	"--duration 1m --faults net-blackhole,net-blackhole-up,net-blackhole-down --length 60s" \
	"--duration 1m --faults crash-both --length 60s" \
	"--duration 1m --faults exhausted --length 2m" \
	"--duration 1m --faults outage" \
	"--duration 1m --faults no-voids --length 10m" \
	"--duration 1m --faults snapshot --length 10m" \
	"--duration 1m --faults migrate --length 30s" \
	"--duration 1m --faults disk-full" \
	"--duration 5m --quick --faults failover,standby-away,standby-lost" \
	"--duration 1m --quick --faults clock" \
	"--duration 10s --faults hanging --length 60s" \
	"--duration 10s --faults hanging-unanswered --length 60s" \
	"--duration 10s --faults net-slow --length 60s" \
	"--duration 10s --faults unread-streams --length 30s" \
	"--duration 10s --faults overload --length 40s --clients 1" \
	"--duration 1m --quick --faults forgotten-payment" \
	"--duration 1m --faults backlog"

.PHONY: chaos
chaos: postgres ## Break the system in every way, and prove that nothing was lost: more than two hours.
	@go build -o bin/ ./sagactl
	@for run in $(chaos); do bin/sagactl chaos $$run || exit 1; done

# Each line is a fault, and the alerts that it is to raise; one with a question mark may come or not, as when exactly
# something happens. The durations of the rules are a sixtieth. The first line is the quiet one. Seeds choose the relay's
# certificate, and a clock that is ahead.
alerts := \
	"--expect none --faults none --duration 40s" \
	"--expect HoshoChargesWait,HoshoBreakerOpen,HoshoNothingDelivers,HoshoNobodyServes,HoshoInstanceDown,$\
		HoshoSettlingIsSlow,HoshoSettlingSlips,HoshoVoidsWait? --faults outage --length 20s" \
	"--expect HoshoVoidsWait,HoshoBreakerOpen,HoshoNothingDelivers,HoshoNeedsAPerson? --faults no-voids --length 25s" \
	"--expect HoshoOrdersAreGivenUp,HoshoNeedsAPerson,HoshoNothingDelivers?,HoshoChargesWait?,HoshoSettlingIsSlow?,$\
		HoshoSettlingSlips? --faults internal --length 12s" \
	"--expect HoshoFrontDoorFails,HoshoChargesWait?,HoshoNobodyServes?,HoshoInstanceDown?,HoshoReconcileIsStale? $\
		--faults crash-orders --length 10s" \
	"--expect HoshoNeedsAPerson,HoshoCommandsAreStuck,HoshoChargesWait?,HoshoDatabasesDisagree? $\
		--faults wrong-echo --length 10s" \
	"--expect HoshoReconcileIsStale,HoshoInstanceDown --faults no-reconcile --length 20s" \
	"--expect HoshoChargesWait,HoshoNothingDelivers,HoshoNobodyServes,HoshoInstanceDown,HoshoEventsAreResent?,$\
		HoshoVoidsWait?,HoshoSettlingIsSlow?,HoshoSettlingSlips? --faults outage --length 20s --transport nats" \
	"--expect HoshoDeadLetters --faults broker-poison --length 15s --transport nats" \
	"--expect HoshoEventsAreResent,HoshoChargesWait? --faults broker-loss --length 20s --transport nats" \
	"--expect HoshoSnapshotHeld --faults snapshot --length 25s" \
	"--expect HoshoDatabasesDisagree,HoshoNeedsAPerson,HoshoCommandsAreStuck --faults forgotten-payment --length 15s" \
	"--expect HoshoCertificateEnds,HoshoCertificateExpired,HoshoPaymentdRefusesRelay,HoshoBreakerOpen,$\
		HoshoChargesWait,HoshoNothingDelivers,HoshoSettlingIsSlow?,HoshoSettlingSlips?,HoshoVoidsWait? $\
		--faults expired-certificate --length 20s --tls --seed 3" \
	"--expect HoshoClockAhead,HoshoNeedsAPerson,HoshoCommandsAreStuck,HoshoChargesWait,HoshoDatabasesDisagree,$\
		HoshoBreakerOpen?,HoshoNothingDelivers?,HoshoOrdersAreGivenUp?,HoshoSettlingIsSlow?,HoshoSettlingSlips?,$\
		HoshoNobodyServes? --faults clock --length 15s --seed 437916" \
	"--expect HoshoOutboxRots,HoshoSnapshotHeld,HoshoChargesWait?,HoshoNobodyServes? --faults rotten-outbox --length 45s" \
	"--expect HoshoRefusesForLoad,HoshoChargesWait?,HoshoSettlingIsSlow?,HoshoSettlingSlips?,$\
		HoshoFrontDoorFails?,HoshoNobodyServes? $\
		--faults overload --length 30s --clients 1"

.PHONY: alerts
alerts: postgres prometheus ## Cause each alert by its fault, watched by a Prometheus: about 12 min.
	@go build -o bin/ ./sagactl
	@for run in $(alerts); do bin/sagactl chaos --alerts --quick --clients 8 --duration 1s $$run || exit 1; done

.PHONY: mutants
mutants: postgres ## Break each rule of the saga in the source, and see chaos find out: about half an hour.
	@go run ./sagactl mutants

.PHONY: bench
bench: compiling postgres ## Measure sagas a second, beside pgbench's bare inserts; sagactl bench --help has more.
	@go run ./sagactl bench

.PHONY: bench-statements
bench-statements: compiling postgres ## Measure the statements that every order costs, without the disk.
	go test -run '^$$' -bench . -benchmem ./internal/orderdb ./internal/outbox ./internal/paymentdb

.PHONY: build
build: ## Build orderd, paymentd, relay and sagactl into bin/; VERSION=v1.2.3 is what they say they are.
	go build -trimpath $(if $(VERSION),-ldflags "-X hosho/internal/version.stamped=$(VERSION)") -o bin/ \
		./orderd ./paymentd ./relay ./sagactl

openapi := orderd/internal/door/openapi

.PHONY: generate
generate: buf ## Write gen/ and the OpenAPI document from proto/.
	$(buf) generate

.PHONY: metrics
metrics: compiling postgres ## Write the tables of doc/metrics.md, from what a running system says.
	go test -count=1 -run TestEveryMetricIsOnItsPage ./internal/doctest -update

.PHONY: format
format: buf ## Format the Go and the proto files.
	$(gofumpt) -w .
	$(buf) format --write

# Modules of their own, for what the programs do not need.
modules := internal/alerttest internal/browsertest internal/composetest internal/lint internal/openapitest

# $(call vet,FLAGS) is go vet of everything.
vet = go vet $(1) ./... && go vet $(1) -tags failpoints ./... && go vet $(1) .ci/install.go && \
	for module in $(modules); do (cd $$module && go vet $(1) ./...) || exit 1; done

# The subjects of commits are looked at since a moment: a date alone is to git that date at this time of the day.
.PHONY: lint
lint: buf breaking ## Check all that needs no database.
	@echo "lint: gofumpt"
	@files=$$($(gofumpt) -l .) && if [ -n "$$files" ]; then echo "not formatted (make format):" $$files; exit 1; fi
	@echo "lint: go vet"
	@$(call vet,)
	@echo "lint: internal/lint: errors that nobody looks at, how the log is written, long lines"
	@cd internal/lint && go build -buildvcs=false -o ../../bin/lint . # the same at each commit: go vet remembers
	@$(call vet,-vettool="$(CURDIR)/bin/lint")
	@echo "lint: staticcheck"
	@$(staticcheck) ./...
	@echo "lint: go mod tidy"
	@for module in . $(modules); do (cd $$module && go mod tidy -diff) || exit 1; done
	@echo "lint: subjects of commits have at most 72 characters and no full stop"
	@git log --no-merges --since=2026-11-28T00:00:00Z --format=%s | \
		awk 'length > 72 || /\.$$/ { print "the subject of a commit: " $$0; bad = 1 } END { exit bad }'
	@echo "lint: buf lint, buf format"
	@$(buf) lint
	@$(buf) format --diff --exit-code
	@echo "lint: gen/ and the OpenAPI document are what make generate writes"
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && $(buf) generate --output "$$dir" && \
		{ diff -rq gen "$$dir/gen" && diff -rq $(openapi) "$$dir/$(openapi)" || { echo "stale: make generate"; exit 1; }; }

.PHONY: breaking
breaking: buf ## Check that the contract breaks no client; against another commit: contract=COMMIT.
	@if [ -n "$(contract)" ]; then \
		echo "breaking: against the contract of $$(git log -1 --format='%h (%cs)' $(contract))"; \
		dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
			git archive $(contract) buf.yaml proto | tar -x -C "$$dir" && $(buf) breaking --against "$$dir"; \
	else \
		echo "breaking: there is no earlier contract"; \
	fi

.PHONY: buf
buf:
	@case "$(buf)" in "go run"*) echo "buf: none on the PATH and no npm, so it is built from source: the first time takes minutes" ;; esac

.PHONY: compiling
compiling:
	@echo "$(firstword $(MAKECMDGOALS)): compiling first, about a minute on a new machine and nothing later"

.PHONY: postgres
postgres: ## Install PostgreSQL, if the machine has none.
	@go run .ci/install.go postgres

.PHONY: pgbouncer
pgbouncer: ## Install PgBouncer, for the tests that put it before the databases, if the machine has none.
	@go run .ci/install.go pgbouncer

.PHONY: prometheus
prometheus: ## Install Prometheus, for the tests of the alert rules, if the machine has none.
	@go run .ci/install.go prometheus

.PHONY: rabbitmq
rabbitmq: ## Install RabbitMQ, for the saga over it, if the machine has none.
	@go run .ci/install.go rabbitmq

.PHONY: kafka
kafka: ## Fetch Apache Kafka from Maven Central, and install the Java that runs it, if the machine has none.
	@go run .ci/install.go kafka

.PHONY: curl
curl: ## Install curl, for the tests of what the documentation says, if the machine has none.
	@go run .ci/install.go curl

.PHONY: chromium
chromium: ## Install Chromium, for the tests that look at the console, if the machine has none.
	@go run .ci/install.go chromium

# A package of npm's is an archive: nothing of it is run but what the tests have a page run.
axe := bin/axe-core-$(AXE)

.PHONY: axe
axe: ## Fetch axe-core, for the test that everybody can use the console, if it is not there.
	@test -f $(axe)/axe.min.js || { go run .ci/install.go npm && mkdir -p $(axe) && cd $(axe) && \
		npm pack --silent axe-core@$(AXE) >/dev/null && \
		tar -xzf axe-core-$(AXE).tgz --strip-components=1 package/axe.min.js && rm axe-core-$(AXE).tgz && \
		echo "make axe: fetched, $(axe)"; }

.PHONY: clean
clean: ## Remove what was built.
	rm -rf bin
