"""`python -m examples.probe`."""

import sys

from examples.probe.main import main

sys.exit(main())
