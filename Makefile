# Two commands do everything on a fresh machine: `make quickstart` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG := quickstart/solov2_digits
OUTPUT := output/quickstart

# Modules are compiled when they are first imported: few of torch's ever are.
PIP := $(BIN)/python -m pip install --quiet --no-compile

.PHONY: help install develop quickstart test test-parity docs lint clean

help:
	@echo "make install     put torch, detectron2 and solo into $(VENV)"
	@echo "make develop     ... and what tests and style need"
	@echo "make quickstart  install, train SOLOv2 on digits, evaluate, draw pictures"
	@echo "make test        install, run the tests"
	@echo "make test-parity install mmdetection, supervision and SAHI, too, and compare with them"
	@echo "make docs        build the site into build/site; broken links are errors"
	@echo "make lint        install, check style and types"

install: $(VENV)/installed

$(VENV)/installed: setup.py $(wildcard solo/environment/*.py)
	$(PYTHON) -m venv $(VENV)
	@echo "installing torch and torchvision: several gigabytes, the longest step"
	$(PIP) torch torchvision
	$(PIP) --editable ".[quickstart,export]"
	$(BIN)/solo setup
	touch $@

develop: $(VENV)/developing

$(VENV)/developing: $(VENV)/installed
	$(PIP) --editable ".[dev]"
	touch $@

# A second time it does what is left to do; rm -r $(OUTPUT) to train anew.
quickstart: install
	$(BIN)/solo train --config $(CONFIG) --resume --output $(OUTPUT)
	@$(BIN)/solo report $(OUTPUT) --sheet $(OUTPUT)/predictions.png

test: develop
	$(BIN)/python -m pytest

# mmdetection's Python half is enough: its SOLO heads use no compiled operator.
test-parity: develop
	$(PIP) --editable ".[parity,interop]"
	$(BIN)/python -m pytest tests/parity tests/benchmarks/test_compare_mmdet.py tests/docs/test_interoperation.py

docs: install
	$(PIP) --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "written: build/site/index.html"

lint: develop
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) build dist *.egg-info
