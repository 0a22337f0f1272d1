"""`python -m examples.transceiver`."""

import sys

from examples.missing import missing

if __name__ == "__main__":
    try:
        from examples.transceiver.main import main
    except ModuleNotFoundError as error:
        sys.exit(missing("transceiver", error))
    sys.exit(main())
