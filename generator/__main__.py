"""`python -m generator`: see generator.cli.main."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets a sentence, not a trace from the import below
    have = "{}.{}".format(*sys.version_info)
    sys.exit(f"Reverie needs Python 3.11 or 3.12, and this is {have}. See docs/hosting.md.")

from generator.cli.main import main

sys.exit(main())
