# Two commands are all a newcomer needs: `make run` and `make test`. `make` alone lists the rest.

PORT ?= 8000
VAR ?= var
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
STATIC := slideserver/static/.vite/manifest.json
VIEWER_SOURCES := $(shell find viewer -path viewer/node_modules -prune -o -type f -print 2>/dev/null)
# A recent Node of the machine is used when there is one; otherwise the one that comes as a Python package.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# npm notes in its lock file where to send money; ours names no address at all.
WITHOUT_ADDRESSES := const fs = require("node:fs"), name = "package-lock.json", lock = JSON.parse(fs.readFileSync(name)); \
  Object.values(lock.packages).forEach((each) => delete each.funding); \
  fs.writeFileSync(name, JSON.stringify(lock, null, 2) + "\n")

.DEFAULT_GOAL := help
.PHONY: help run test check check-server check-viewer unit setup dev-setup static lock bench-tiles torture-ingest torture-sharing torture-tiles gallery clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## set everything up and start the platform with its demonstration on http://127.0.0.1:$(PORT)
	@exec $(BIN)/iain demo --var "$(VAR)" --port "$(PORT)"

# Three at once on two cores: tests wait for processes, disks and deadlines for about two fifths of their time. In the
# order of their folders, so that the short ones of tests/unit come last and all three end at about the same time.
test: dev-setup ## set up what the tests need, then run every check and every test
	@sh tests/packages.sh
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target check
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not browser"
	$(BIN)/pytest -n 2 --dist loadscope -m browser

check: check-server check-viewer ## formatting, lint, types, import contracts, front end

check-server: dev-setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 -p ingest.agent
	$(BIN)/lint-imports

check-viewer: dev-setup
	cd viewer && npm run --silent check

unit: dev-setup ## only the tests that take seconds
	$(BIN)/pytest tests/unit -q

bench-tiles: dev-setup ## tiles beside nginx, large_image, iipsrv and Deep Zoom; cuts, growth, uploads
	@sh tests/packages.sh
	$(BIN)/python -m benchmarks.tiles

torture-ingest: dev-setup ## kill, cut, fill, damage whatever lies between a scanner and a slide, and count what is lost
	$(BIN)/python -m benchmarks.torture_ingest

torture-sharing: dev-setup ## revoke while 32 read, forge links, alter the record, restore a backup taken during writes
	@sh tests/packages.sh
	$(BIN)/python -m benchmarks.torture_sharing

torture-tiles: dev-setup ## ask an oracle about tiles, feed hostile slides, kill cutters and builders
	$(BIN)/python -m benchmarks.torture_tiles

gallery: dev-setup ## SLIDES=folder: one page with a look at every slide of a folder, in .build/gallery
	$(BIN)/python -m benchmarks.gallery "$(SLIDES)"

setup: $(VENV)/.run static ## everything that `make run` needs
dev-setup: $(VENV)/.dev static ## everything that `make test` needs besides system packages
static: $(STATIC) ## build the front end

$(BIN)/python:
	@sh deploy/python.sh "$(PYTHON)" "$(VENV)"

$(VENV)/.run: requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "Installing the server…"
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements/run.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing the server, its checks and its tests…"
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements/dev.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

viewer/node_modules/.package-lock.json: viewer/package-lock.json viewer/package.json | $(BIN)/python
	@sh deploy/node.sh "$(BIN)"
	@echo "Installing the front end's tools…"
	@cd viewer && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(STATIC): viewer/node_modules/.package-lock.json $(VIEWER_SOURCES)
	@echo "Building the front end…"
	@cd viewer && npm run --silent build
	@touch $@

lock: ## write the lock files anew from pyproject.toml and viewer/package.json (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra server --extra agent --extra postgres --extra build pyproject.toml -o requirements/run.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra server --extra agent --extra postgres --extra build --extra dev -c requirements/run.lock pyproject.toml -o requirements/dev.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra node pyproject.toml -o requirements/node.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  benchmarks/requirements.in -o benchmarks/requirements.lock
	cd viewer && npm install --package-lock-only --ignore-scripts && node -e '$(WITHOUT_ADDRESSES)'

clean: ## remove what the commands above made (the data directory stays)
	rm -rf $(VENV) .build viewer/node_modules slideserver/static
