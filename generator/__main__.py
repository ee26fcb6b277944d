"""`python -m generator`: see generator.cli.main."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets a sentence, not a trace from the import below
    have = "{}.{}".format(*sys.version_info)
    sys.exit(f"Reverie needs Python 3.11 or 3.12, and this is {have}. See docs/hosting.md.")

from generator.cli.main import FAILED, main

status = main()
try:
    sys.stdout.flush()
    sys.stderr.flush()
except BrokenPipeError:  # The reader of our output, such as `head`, has ended.
    status = FAILED
# Nothing is open any more, and to tear torch down takes a second.
os._exit(status)
