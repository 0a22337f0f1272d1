"""The smallest program: what it says when it cannot start."""

from __future__ import annotations

import io
import runpy
import socket
import sys
from pathlib import Path

import pytest

MINIMAL = Path(__file__).resolve().parent.parent.parent / "examples" / "minimal.py"


@pytest.mark.parametrize(
    ("arguments", "offer", "said"),
    [
        ([], "", "usage: python examples/minimal.py HOST"),
        (["127.0.0.1", "x"], "", "usage: "),
        (["127.0.0.1"], "", "minimal: sdp: "),
        (["127.0.0.1"], "nonsense", "minimal: sdp: "),
        (["127.0.0.1"], "v=0\r\n", "minimal: "),
        (["0.0.0.0"], "", "minimal: addresses holds 0.0.0.0"),
        (["::1"], "", "minimal: "),
    ],
)
def test_one_line(
    arguments: list[str], offer: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot work is one clear line and not a traceback."""
    monkeypatch.setattr(sys, "argv", ["minimal.py", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(offer))
    sockets: list[socket.socket] = []
    real = socket.socket

    def opened(family: int, kind: int) -> socket.socket:
        sockets.append(real(family, kind))
        return sockets[-1]

    monkeypatch.setattr(socket, "socket", opened)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(MINIMAL), run_name="__main__")
    for sock in sockets:
        sock.close()
    assert str(ended.value.code).startswith(said)
    assert "\n" not in str(ended.value.code)


def test_it_is_small() -> None:
    """Fifty lines, which the how-to shows whole."""
    assert len(MINIMAL.read_text(encoding="utf-8").splitlines()) <= 50
