"""`python -m generator`: see generator.cli.main."""

import sys

from generator.cli.main import main

sys.exit(main())
