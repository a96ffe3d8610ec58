"""`python -m ferro`."""

import sys

from ._command import main

sys.exit(main())
