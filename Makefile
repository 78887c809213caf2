# Tenfold: `make` lists what there is. PYTHON chooses the interpreter of .venv, as in `make PYTHON=python3.12 reproduce`;
# CUDA=0 sets .venv up without those of CUDA's libraries that are not needed on a processor.

SHELL := bash
.DEFAULT_GOAL := help
PYTHON ?= python3
CUDA ?=
# These sources, also where .venv is a link to that of another checkout.
export PYTHONPATH := $(CURDIR)/src
# Snakemake keeps a cache at home, where some machines let nobody write.
ifneq ($(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" || echo no),)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif
WORKERS ?= 2
# What is computed: PAPER (a slug; all papers without it) at EDITION (that of config/config.yaml without it).
VERB = $(if $(EDITION),--edition $(EDITION)) $(PAPER)
READY := .venv/.ready
BIN := .venv/bin
CODE := src scripts tests bench examples
RULES := Snakefile workflow/rules
MEND := || { echo "tenfold: make fmt mends most of this" >&2; exit 1; }

.PHONY: always help reproduce report site listening-page record compare restore gc test test-all test-gpu test-slurm test-remote test-browser bench bench-gpu check fmt lock slurm remotes clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

reproduce: $(READY) ## compute all papers, or one: make reproduce EDITION=small PAPER=sge; then compare with the record
	@target=$$($(BIN)/tenfold target $(VERB)) && $(BIN)/snakemake $$target && $(BIN)/tenfold compare $(VERB)

report: $(READY) ## build/report.html: Snakemake's report of what was computed, readable offline
	@target=$$($(BIN)/tenfold target $(VERB)) && pages=$$($(BIN)/tenfold target --pages $(VERB)) \
		&& $(BIN)/snakemake $$pages --allowed-rules page scoreboard && $(BIN)/snakemake $$target $$pages --report build/report.html

site: $(READY) ## build/site/index.html: all that is on record as a web site, readable offline
	@$(BIN)/python -m tenfold.site.build

listening-page: $(READY) ## build/listening.html: melodies to compare blindly, for people (EDITION; the key lies in runs/)
	@mkdir -p build && page=runs/$(or $(EDITION),small)/melody/listening/page.html && $(BIN)/snakemake $$page \
		&& cp $$page build/listening.html

compare: $(READY) ## compare what was computed with what is on record; fails where they differ
	@$(BIN)/tenfold compare --strict $(VERB)

record: $(READY) ## put what was computed on record: tables, figures, claims, checksums
	@$(BIN)/tenfold record $(VERB)

restore: $(READY) ## bring back all that is on record, without computing anything
	@$(BIN)/tenfold restore

gc: $(READY) ## drop what neither this commit, a branch nor a tag refers to, from store/ and DVC's cache
	@$(BIN)/tenfold gc

test: $(READY) ## the tests (about 15 minutes on 2 cores)
	@$(BIN)/pytest -n $(WORKERS)

test-all: $(READY) ## the tests with the slow ones
	@$(BIN)/pytest -n $(WORKERS) -m "not gpu and not slurm and not remote and not browser"

test-gpu: $(READY) ## the tests that need a GPU
	@$(BIN)/pytest -m gpu

test-slurm: $(READY) ## the tests on a real Slurm, started for them (Debian: slurm-wlm munge; make slurm)
	@$(BIN)/pytest -m slurm

test-remote: $(READY) ## the tests on real ssh, S3 and WebDAV servers, started for them (CONTRIBUTING.md says which; make remotes)
	@$(BIN)/pytest -m remote

test-browser: $(READY) ## the tests that need a browser (Chromium)
	@$(BIN)/pytest -m browser

bench: $(READY) ## how fast it is: ratios against the plain way, in one run (set TENFOLD_MIRROR for real images)
	@for script in bench/bench_*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

bench-gpu: $(READY) ## the same on a GPU: against eager torch and a bare CUDA graph, alone and many side by side
	@$(BIN)/python bench/gpu.py

check: $(READY) ## style, types, spelling, rules, and the guards of the repository
	@$(BIN)/ruff check --quiet --output-format concise $(CODE) $(MEND)
	@$(BIN)/ruff format --check $(CODE) $(MEND)
	@$(BIN)/snakefmt --check --compact-diff $(RULES) $(MEND)
	@$(BIN)/python scripts/lint_workflow.py
	@$(BIN)/codespell && $(BIN)/mypy --no-error-summary
	@$(BIN)/python scripts/check_repository.py

fmt: $(READY) ## put Python and rules into their form
	@$(BIN)/ruff check --fix --quiet $(CODE); $(BIN)/ruff format --quiet $(CODE); $(BIN)/snakefmt $(RULES)

lock: ## pin all packages anew, with hashes, from pyproject.toml
	@$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv
	@build/uv/bin/uv pip compile pyproject.toml --extra dev --extra site --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet -o requirements.lock

slurm: $(READY) ## what profiles/slurm needs, to send jobs to a Slurm cluster
remotes: $(READY) ## what DVC needs for remotes over ssh, S3 and WebDAV
slurm remotes:
	@$(BIN)/pip install --quiet --disable-pip-version-check $$($(BIN)/python -c "import tomllib; \
		print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$@'])")

clean: ## remove caches and reports, nothing that was computed
	@rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis && find src tests scripts -name __pycache__ -exec rm -rf {} +

# The environment: once, and again when the lock has changed, whatever the times of files say.
$(READY): always
	@PYTHON="$(PYTHON)" CUDA="$(CUDA)" bash scripts/set_up.sh

always:
