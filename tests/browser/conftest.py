"""Browser tests run in Debian's Chromium, in an environment of their own: `make test-browser`."""

import importlib.util
import shutil

collect_ignore_glob = [] if importlib.util.find_spec("playwright") and shutil.which("chromium") else ["test_*.py"]
