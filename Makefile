# The course's commands: `make lab` to learn, `make test` to contribute. For Windows and conda see docs/other_ways_to_start.md.
.DEFAULT_GOAL := help
.PHONY: help lab test test-trials test-browser test-long test-marking test-site site
.PHONY: assignment roster collect assign-to remove mark points look report handback
.PHONY: notebooks exercises front contact format lock address matrix canaries

# The first Python from 3.11 to 3.13 that answers; `make lab PYTHON=python3.12` chooses another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c "$(SUPPORTED)" 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CLASS ?= class
SEED ?= 0
WORKERS ?= 1
MARKING = $(BIN)/python -m tools.marking --class "$$CLASS"
export CLASS DB FILE FROM STUDENT  # the shell takes them as they are
FIRST := notebooks/01_what_is_a_learning_rate.ipynb

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/'

# What lessons 1 and 2 need. TensorFlow, by far the largest part, is installed while they are read.
EARLY := jupyterlab ipywidgets jupyterquiz matplotlib scikit-learn tqdm

# pip is quiet, so this says what takes so long.
SAY = echo "Installing what $< lists into .venv: once, some minutes."

# The stamps hold what was installed: a file that has only a new date is not installed again.
.venv/.early: requirements.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found; install one from python.org and try again."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@cmp -s $< $@ || { echo "Installing what lessons 1 and 2 need into .venv: once, one to three minutes."; \
		$(PIP) -c $< $(EARLY); }
	@cp $< $@

.venv/.lab: requirements.txt .venv/.early
	@cmp -s $< $@ || { $(SAY); $(PIP) -r $<; }
	@cp $< $@

.venv/.test: requirements-test.txt .venv/.lab
	@cmp -s $< $@ || { $(SAY); $(PIP) -r $<; }
	@cp $< $@

.venv/.marking: requirements-marking.txt .venv/.lab
	@cmp -s $< $@ || { $(SAY); $(PIP) -r $<; }
	@cp $< $@

.venv/.site: requirements-site.txt .venv/.lab
	@cmp -s $< $@ || { $(SAY); $(PIP) -r $<; }
	@cp $< $@

lab: .venv/.early  ## open lesson 1 in JupyterLab (LAB_ARGS="--no-browser --port 8890" adds arguments)
	@cmp -s requirements.txt .venv/.lab || { \
		echo "TensorFlow, for lessons 3 to 8, is installed while you read (what pip says: .venv/rest.log)."; \
		ps -p "$$(cat .venv/rest.pid 2>/dev/null)" -o args= 2>/dev/null | grep -q requirements.txt || { \
			($(PIP) -r requirements.txt && cp requirements.txt .venv/.lab) > .venv/rest.log 2>&1 & \
			echo $$! > .venv/rest.pid; }; }
	JUPYTER_CONFIG_PATH="$(CURDIR)/course/jupyter$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" \
		$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/$(FIRST) $(LAB_ARGS)

# `python -m pytest` alone runs what these two run together.
QUICK := not browser and not long and not marking and not site

test: .venv/.test  ## lint, unit tests, notebook checks, and every notebook executed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m "$(QUICK) and not trial"

test-trials: .venv/.test  ## lrsweep against plain Keras, and the sentences of the lessons against experiments
	$(BIN)/python -m pytest -m "$(QUICK) and trial" tests

test-browser: .venv/.test  ## drive a real JupyterLab in headless Chromium (skips without Chromium)
	$(BIN)/python -m pytest -m browser -n 0 -s tests

test-long: .venv/.test  ## what takes minutes: random sweeps, killed workers, a local cluster
	$(BIN)/python -m pytest -m long tests

test-marking: .venv/.test  ## mark a made-up class in sandboxes (skips without bubblewrap)
	$(BIN)/python -m pytest -m "marking and not long" -n 0 tests

test-site: .venv/.test .venv/.site  ## build the site and read it in headless Chromium (skips without Chromium)
	$(BIN)/python -m pytest -m site -n 0 tests/tools/test_site.py

site: .venv/.site  ## the course as web pages, from the stored notebooks, in _site/html/
	$(BIN)/python -m tools.site

assignment: .venv/.marking  ## a class's own exercises: make assignment LESSON=1 SEED=7
	$(MARKING) assignment "$(LESSON)" --seed="$(SEED)" --force "$(FORCE)" --db "$$DB"

collect: .venv/.marking  ## what students handed in: make collect LESSON=1 FROM=folder-or-zip
	$(MARKING) collect "$(LESSON)" --from "$$FROM"

roster: .venv/.marking  ## who is in the class: make roster FROM=class.csv (Canvas, Moodle, Blackboard, or id,name)
	$(MARKING) roster --from "$$FROM"

assign-to: .venv/.marking  ## whose a file is: make assign-to LESSON=1 STUDENT=anna FILE=downloads/Untitled.ipynb
	$(MARKING) assign-to "$(LESSON)" --student "$$STUDENT" --file "$$FILE"

remove: .venv/.marking  ## take out a submission that is nobody's: make remove LESSON=1 STUDENT=anna
	$(MARKING) remove "$(LESSON)" --student "$$STUDENT" --file "$$FILE"

mark: .venv/.marking  ## run the tests in sandboxes: make mark LESSON=1 (WORKERS=2 FORCE=yes STUDENT=anna)
	$(MARKING) mark "$(LESSON)" --workers="$(WORKERS)" --force "$(FORCE)" --trust "$(TRUST)" --student "$$STUDENT" --executor "$(EXECUTOR)"

points: .venv/.marking  ## points by hand: make points LESSON=1 STUDENT=anna QUESTION=test_1a POINTS=2
	$(MARKING) points "$(LESSON)" --student "$$STUDENT" --question "$(QUESTION)" --points "$(POINTS)"

look: .venv/.marking  ## JupyterLab with formgrader, to mark the free text
	$(MARKING) look $(LAB_ARGS)

report: .venv/.marking  ## a page of the class, and the answer key: make report LESSON=1
	$(MARKING) report "$(LESSON)"

handback: .venv/.marking  ## pages and marks: make handback LESSON=1 (DUE=2026-11-20 LATE="10% a day, at most 5 days")
	$(MARKING) handback "$(LESSON)" --workers="$(WORKERS)" --due "$(DUE)" --late "$(LATE)"

notebooks: .venv/.test  ## execute the lessons and store them (NOTEBOOKS="path ..." for some)
	$(BIN)/python -m tools.notebooks $(NOTEBOOKS)
	$(BIN)/python -m tools.front

exercises: .venv/.test  ## write the students' exercises from exercises/source
	$(BIN)/python -m tools.exercises

front: .venv/.lab  ## copy picture, promises and lesson table from the lessons to the README
	$(BIN)/python -m tools.front

contact: .venv/.test  ## contact sheets of all figures, as different eyes see them
	$(BIN)/python -m tools.contact

format: .venv/.test  ## put code and notebooks in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/.test  ## pin the tested versions again, from the ranges in pyproject.toml
	$(BIN)/python -m tools.lock

address: .venv/.lab  ## write the address of git's origin everywhere (REPO=owner/name REVISION=v1.0 for others)
	$(BIN)/python -m tools.address --repo "$(REPO)" --revision "$(REVISION)"

matrix: .venv/.test  ## every notebook in every environment (MATRIX="--only colab notebooks/01_..." for some)
	$(BIN)/python -m tools.matrix $(MATRIX)

canaries: .venv/.test  ## what the lessons say of Keras, tried on another version: make canaries KERAS=3.13.2
	@test -n "$(KERAS)" || { echo "Which version? Type: make canaries KERAS=3.13.2"; exit 1; }
	$(BIN)/python -m uv venv --quiet --clear .matrix/canaries
	$(BIN)/python -m uv pip install --quiet --python .matrix/canaries -r requirements-test.txt
	$(BIN)/python -m uv pip install --quiet --python .matrix/canaries "keras==$(KERAS)"
	.matrix/canaries/bin/python -m pytest -n 0 tests/notebooks/test_canaries_keras.py
