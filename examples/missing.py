"""What a program says where a module that it needs is not installed."""

from __future__ import annotations

import sys

__all__ = ["missing"]


def missing(program: str, error: ModuleNotFoundError) -> int:
    """Say in one line how to get it; the exit status of a program that cannot start."""
    print(
        f"{program}: no module {error.name}; `make demo` or `pip install -e '.[examples]'` gets it",
        file=sys.stderr,
    )
    return 2
