"""`python -m examples.transceiver`."""

import sys

from examples.transceiver.main import main

sys.exit(main())
