"""These tests need TensorFlow and tf_keras; where they are missing, nothing here is collected."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("tf_keras") else ["test_*.py"]
