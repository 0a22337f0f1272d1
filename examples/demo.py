"""The whole thing on one machine: relays, transceivers, a page, and a call.

    python examples/demo.py --http 127.0.0.1:8080 --relay 127.0.0.1:3478 --probe

See `examples/demonstration`; this script only makes it startable from anywhere.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script, Python looks for `examples` in the script's own folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    try:
        from examples.demonstration import main
    except ModuleNotFoundError as error:
        print(
            f"demo: no module {error.name}; `make demo` or `pip install -e '.[examples]'` gets it",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(main())
