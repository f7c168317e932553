# SPDX-License-Identifier: BSD-3-Clause
# Entry points.  There is no logic here: each target calls the toolchain or a script.
#
#   make run     boot to the shell          make check     rules, toolchain, unit tests
#   make gdb     boot paused, with gdb      make test      what CI checks
#   make bench   benchmarks                 make test-all  and the long soaks
#   make iso     boot medium for BIOS and UEFI
#   make trace   a run as a Perfetto trace and a picture; WORKLOAD="test NAME" chooses another

PYTHON := .venv/bin/python
KPYC := $(PYTHON) -m toolchain
PYTEST := $(PYTHON) -m pytest -n auto --dist loadfile
FAST := $(wildcard tests/rules tests/toolchain tests/unit)
CPUS ?= 4
ACCEL ?= auto

.PHONY: run test check test-all gdb bench iso trace setup kernel root lint clean

run: kernel root
	scripts/run --cpus $(CPUS) --accel $(ACCEL)

kernel: setup
	$(KPYC) build

root: setup
	$(KPYC) image build userland/root -o build/root.img --gpt --owner 0:0 --if-changed

lint: setup
	$(PYTHON) -m ruff check --quiet .

check: lint
	$(PYTEST) -m "not long" $(FAST)

test: lint
	$(PYTEST) -m "not long" tests

test-all: lint
	scripts/setup iso
	$(PYTEST) tests

gdb: setup
	$(KPYC) build -O 0 -o build/kernel-gdb.elf
	scripts/gdb --cpus $(CPUS)

bench: setup
	$(PYTHON) -m toolchain.bench.run

trace: setup
	scripts/trace --cpus $(CPUS) $(if $(WORKLOAD),"$(WORKLOAD)")

iso: kernel
	scripts/setup iso
	scripts/iso

setup:
	@scripts/setup

clean:
	rm -rf build
