"""The command: `eyeline explain`, `check`, `run`, `audit`, `gate`, `serve` and more; `eyeline --help` lists them.

Importing this loads no framework and no matplotlib. Exit codes: 0 done; 1 an image was refused and the
others are done, or an audit or a gate found something; 2 usage: a flag or a model that cannot be. Ctrl-C: 130; what is
done is kept, and nothing is half-written.
"""

import os
import sys

from eyeline.cli.base import app as app
from eyeline.cli.gates import diff as diff
from eyeline.cli.gates import gate as gate
from eyeline.cli.many import audit as audit
from eyeline.cli.many import run as run
from eyeline.cli.many import show as show
from eyeline.cli.maps import explain as explain
from eyeline.cli.maps import plan as plan
from eyeline.cli.shown import demo as demo
from eyeline.cli.shown import layers as layers
from eyeline.cli.shown import lecture as lecture
from eyeline.cli.shown import methods as methods
from eyeline.cli.shown import models as models
from eyeline.cli.shown import serve as serve
from eyeline.cli.trust import check as check
from eyeline.cli.trust import listed as listed

ORDER = ("demo", "explain", "plan", "check", "serve", "run", "show", "audit", "diff", "gate", "models", "methods",
         "layers", "metrics", "lecture")  # fmt: skip
"""As `eyeline --help` lists them: what a newcomer needs first comes first."""

app.registered_commands.sort(key=lambda each: ORDER.index(each.name or getattr(each.callback, "__name__", "")))


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding cannot show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Threads that wait in a loop take the cores from those that work, wherever cores are shared. Read by OpenMP when a
    # framework is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # For package.module:name of the reader's own; last, so that a file here never stands in for a library.
    sys.path.append(os.getcwd())
    try:
        try:
            app(arguments, prog_name="eyeline")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone; the interpreter must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
