"""Test vectors: hex as RFCs print it, and corpora that are not part of the repository.

Set RTCPROTO_CORPORA to a folder that holds one sub-folder per corpus (for
example `coturn-fuzzstun/`). Tests that want one skip without it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["corpus_files", "from_hex", "require_corpus"]

VARIABLE = "RTCPROTO_CORPORA"


def from_hex(text: str) -> bytes:
    """Bytes of hex digits; white space, colons and `#` comments up to the line end are skipped."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return bytes.fromhex("".join(lines).replace(":", " "))


def corpus_files(*names: str) -> list[Path]:
    """Every file of the named corpora, sorted; empty where the variable or a folder is missing."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return []
    return sorted(
        path for name in names for path in Path(folder, name).rglob("*") if path.is_file()
    )


def require_corpus(*names: str) -> list[Path]:
    """The files of the named corpora, or skip the test and say what was missing."""
    files = corpus_files(*names)
    if not files:
        pytest.skip(f"corpora {', '.join(names)} not found: set {VARIABLE} to their folder")
    return files
