"""The web server of the programs under clients that mean it no good."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from examples.webserver import HEAD_TIMEOUT
from tests.e2e.programs import Server

pytestmark = pytest.mark.live

POST = b"POST /v1/realtime/calls HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n"

# Seconds beyond a deadline on a busy machine.
PATIENCE = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A transceiver without a relay."""
    with Server(tmp_path_factory.mktemp("web"), "127.0.0.1", relay=False) as running:
        yield running


def ended(connection: socket.socket) -> bytes:
    """What a connection brings until the server ends it; TimeoutError if it does not."""
    connection.settimeout(HEAD_TIMEOUT + PATIENCE)
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("said", [b"", POST + b"X"], ids=["nothing", "half-a-head"])
def test_silent_connections_are_closed(server: Server, said: bytes) -> None:
    """Others are served meanwhile."""
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(server.http, timeout=5)) for _ in range(50)
        ]
        for connection in silent:
            connection.sendall(said)
        assert server.health()["sessions"] == 0
        for connection in silent:
            assert ended(connection) == b""
    assert server.health()["sessions"] == 0


def test_connections_have_a_cap(server: Server) -> None:
    """One too many is closed at once; when others leave, there is room again."""
    with ExitStack() as stack:
        # Half of what a process may commonly open, or fewer.
        many = [
            stack.enter_context(socket.create_connection(server.http, timeout=5))
            for _ in range(513)
        ]
        assert ended(many[-1]) == b""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            assert server.health()["sessions"] == 0
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


BOMB = gzip.compress(bytes(20_000_000))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, 415),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", 415),
        (POST + b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\nnope", 415),
        (POST + b"Content-Encoding: zstd\r\nContent-Length: 4\r\n\r\nnope", 415),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\nabc\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZZ\r\n", 400),
        (POST + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 400),
        (POST + b"".join(b"X%d: a\r\n" % n for n in range(2000)) + b"\r\n", 400),
        (b"GET /media/" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /media/a%00b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"\x16\x03\x01garbage\r\n\r\n", 400),
        (POST + b"Connection: upgrade, close\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n", 400),
    ],
    ids=["bomb", "gzip", "br", "zstd", "chunk", "later-chunk", "header", "headers", "path", "nul",
         "garbage", "upgrade"],
)  # fmt: skip
def test_p3_clients_mistakes_are_no_tracebacks(server: Server, sent: bytes, status: int) -> None:
    """Threat P3: each is refused, the connection ends, and the log stays as it was."""
    before = server.logs()
    with socket.create_connection(server.http, timeout=5) as connection:
        connection.sendall(sent)
        assert ended(connection).split(b" ")[1] == b"%d" % status
    assert server.logs() == before


def test_p3_a_lost_connection_is_no_traceback(server: Server) -> None:
    """Threat P3: a client that leaves within its offer leaves no trace."""
    before = server.logs()
    for _ in range(20):
        with socket.create_connection(server.http, timeout=5) as connection:
            connection.sendall(POST + b"Content-Length: 500\r\n\r\nabc")
            time.sleep(0.01)
    assert server.health()["sessions"] == 0
    assert server.logs() == before
