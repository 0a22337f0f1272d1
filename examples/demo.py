"""The whole thing on one machine: relays, transceivers, a page, and a call.

    python examples/demo.py --http 127.0.0.1:8080 --relay 127.0.0.1:3478 --probe

See `examples/demonstration`; this script only makes it startable from anywhere.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script, Python looks for `examples` in the script's own folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from examples.missing import missing

    try:
        from examples.demonstration.main import main
    except ModuleNotFoundError as error:
        sys.exit(missing("demo", error))
    sys.exit(main())
