"""`python -m examples.probe`."""

import sys

from examples.missing import missing

if __name__ == "__main__":
    try:
        from examples.probe.main import main
    except ModuleNotFoundError as error:
        sys.exit(missing("probe", error))
    sys.exit(main())
