# make demo    watch a private bucket being served     (KEEP=1 leaves it running)
# make test    run the tests, with the first Python found; make test-3.12: with that one
# make bench   the table of measurements, against nginx
# make flame   where the time of a hit goes: a table and a flame graph, hit.svg
# make deb     the Debian package, in dist/, for Debian 12; make check-deb: installed, run,
#              upgraded, removed and purged in a fresh Debian (as root, needs debootstrap)
# make check-systemd   its units, in a machine that systemd starts (systemd-nspawn, as root)
# make check   what CI runs: tests on each Python, lint, types, package, docs
# make check-browser   a site in a bucket, looked at with headless Chromium; not part of CI
#
# Nothing is installed outside this directory: `.venv` has the product as a user gets it,
# `.venv-3.11` and so on have the checkout itself, for the tests.

VERSIONS = 3.11 3.12 3.13
SOURCES := $(shell find s3shield twisted -name '*.py') setup.cfg pyproject.toml
FIND_PYTHON = sh .ci/find-python
PIP = bin/python -m pip --disable-pip-version-check --quiet
# The version that plain `make test`, `make lint` ... use, as 3.11; empty when there is none.
DEFAULT = $$(python=$$($(FIND_PYTHON)) && \
    $$python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.PHONY: demo demo-stop bench flame test test-all lint types docs package deb check-deb check-systemd check \
    check-browser clean
.SECONDARY:

demo: .venv/demo-installed
	@S3SHIELD_INSTALLED=1 .venv/bin/python -m demo $(if $(filter-out 0 no,$(KEEP)),--keep) $(DEMO)

# Needs nginx, wrk and openssl; BENCH="--rows hit-1k --rounds 9" and so on are the program's
# options: docs/benchmarks.rst.
bench: .venv-bench/bench-installed
	@.venv-bench/bin/python bench/table.py $(BENCH)

# Where a hit's time goes; needs perf besides, and Python 3.13. FLAME="--objects o64k": the
# program's options.
flame: .venv-flame/bench-installed
	@.venv-flame/bin/python bench/flame.py $(FLAME)

demo-stop:
	@.venv/bin/python -m demo --stop

test:
	@version=$(DEFAULT); test -n "$$version" && $(MAKE) --no-print-directory test-$$version

test-%: .venv-%/test-installed
	@.venv-$*/bin/python -m tests $(if $(TALLY),--tally $(TALLY) --failures $(TALLY).failures) \
	    $(if $(PART),--part $(PART)) $(TESTS)

test-all:
	@failed=; for version in $(VERSIONS); do \
	    if $(FIND_PYTHON) $$version >/dev/null 2>&1; then \
	        echo "== tests on Python $$version"; \
	        $(MAKE) --no-print-directory test-$$version || failed="$$failed $$version"; \
	    else \
	        echo "== Python $$version is not on this machine: no tests on it"; \
	    fi; \
	done; \
	if [ -n "$$failed" ]; then echo "failed on:$$failed"; exit 1; fi

# What a developer's commands need, in the default version's environment.
lint types docs package:
	@version=$(DEFAULT); test -n "$$version" && \
	    $(MAKE) --no-print-directory .venv-$$version/dev-installed && \
	    VENV=$$(pwd)/.venv-$$version sh .ci/$@

# Needs debhelper and Python 3.11.
deb:
	@sh pack/deb dist

check-deb:
	@bash pack/check-deb

check-systemd:
	@bash pack/check-systemd

check:
	@bash .ci/run

# Says so, and is content, where there is no Chromium; PICTURES=directory keeps the screenshots.
check-browser: .venv-browser/test-installed
	@.venv-browser/bin/python -m pip --disable-pip-version-check --quiet install selenium
	@.venv-browser/bin/python -m tests.browser $(if $(PICTURES),--pictures $(PICTURES))

# The default Python's: the pattern below would look for one of the version `browser`.
.venv-browser/test-installed: setup.cfg pyproject.toml
	@test -x $(@D)/bin/python || { python=$$($(FIND_PYTHON)) && $$python -m venv $(@D); }
	@$(@D)/$(PIP) install $(EDITABLE) '.[test]' $(BUILDER)
	@touch $@

clean:
	rm -rf build dist *.egg-info _trial_temp* .demo .bench docs/_build

# A plain install, not an editable one: the demo shows what a user gets. build/ is removed
# because setuptools would ship modules that have been deleted since.
.venv/demo-installed: $(SOURCES)
	@test -x .venv/bin/python || { python=$$($(FIND_PYTHON)) && $$python -m venv .venv; }
	@echo "Installing s3shield and two S3 servers in .venv (80 MB from PyPI)"
	@rm -rf build
	@.venv/$(PIP) install '.[demo]'
	@touch $@

# editable_mode=compat puts the checkout on sys.path, which is where Twisted looks for
# plugins; the default mode's import hook hides twisted/plugins from it.
EDITABLE = --config-settings editable_mode=compat -e
# tests/test_packaging.py builds without the network, so with the environment's setuptools:
# Python 3.11 comes with one that is older than pyproject.toml wants, 3.12 with none.
BUILDER = 'setuptools>=70,<81'

# What runs is the checkout; this is for what it needs.
.venv-bench/bench-installed: WITH = system
.venv-flame/bench-installed: WITH = 3.13
.venv-bench/bench-installed .venv-flame/bench-installed: setup.cfg pyproject.toml
	@test -x $(@D)/bin/python || { python=$$($(FIND_PYTHON) $(WITH)) && $$python -m venv $(@D); }
	@echo "Installing what s3shield needs in $(@D)"
	@$(@D)/$(PIP) install $(EDITABLE) .
	@touch $@

# Without the checkout: several of these may be made at once.
.venv-%/needs-installed: setup.cfg .ci/needs.py
	@test -x .venv-$*/bin/python || { python=$$($(FIND_PYTHON) $*) && $$python -m venv .venv-$*; }
	@.venv-$*/bin/python .ci/needs.py test $(NEEDS) >.venv-$*/needs
	@.venv-$*/$(PIP) install -r .venv-$*/needs $(BUILDER)
	@touch $@

.venv-%/test-installed: setup.cfg pyproject.toml
	@test -x .venv-$*/bin/python || { python=$$($(FIND_PYTHON) $*) && $$python -m venv .venv-$*; }
	@echo "Installing the tests' needs in .venv-$*"
	@.venv-$*/$(PIP) install $(EDITABLE) '.[test]' $(BUILDER)
	@touch $@

.venv-%/dev-installed: .venv-%/test-installed
	@echo "Installing the developers' tools in .venv-$*"
	@.venv-$*/$(PIP) install $(EDITABLE) '.[dev]'
	@touch $@
