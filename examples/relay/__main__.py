"""`python -m examples.relay`."""

import sys

from examples.missing import missing

if __name__ == "__main__":
    try:
        from examples.relay.main import main
    except ModuleNotFoundError as error:
        sys.exit(missing("relay", error))
    sys.exit(main())
