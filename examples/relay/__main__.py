"""`python -m examples.relay`."""

import sys

from examples.relay.main import main

sys.exit(main())
