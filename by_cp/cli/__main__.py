"""`python -m by_cp.cli`: the `by-cp` command, where its script is not on the path."""

import sys

from by_cp.cli.main import main

sys.exit(main())
