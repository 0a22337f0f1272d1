"""Transceivers in this process, with real sockets, and a round robin in front of them."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

import aiohttp

from examples.transceiver.server import Transceiver
from examples.transceiver.settings import parse_arguments
from rtcproto.datagram import Address
from tests.e2e.programs import free_port

__all__ = ["KEYS", "House", "client", "round_robin"]

HOST = "127.0.0.1"

# Two API keys; each is a line of a key file.
KEYS = ("first-key-0123456789-0123456789", "second-key-0123456789-0123456789")


class House:
    """`async with House(folder, flags) as house:` runs one transceiver."""

    def __init__(self, folder: Path, *flags: str, http: Address | None = None) -> None:
        keys = folder / "api-keys"
        keys.touch(mode=0o600)
        keys.write_text("\n".join(KEYS), encoding="ascii")
        self.http = http or (HOST, free_port(HOST, socket.SOCK_STREAM))
        self.url = "http://{}:{}".format(*self.http)
        udp = f"{HOST}:{free_port(HOST)}"
        where = ["--http", "{}:{}".format(*self.http), "--udp", udp]
        auth = [] if "--no-auth" in flags else ["--api-key-file", str(keys)]
        self.transceiver = Transceiver(parse_arguments([*where, *auth, *flags]))

    async def __aenter__(self) -> Self:
        await self.transceiver.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transceiver.__aexit__(None, None, None)

    @property
    def sessions(self) -> int:
        """Calls there are."""
        return self.transceiver.driver.endpoint.endpoint_stats().sessions


def client(token: str | None = KEYS[0]) -> aiohttp.ClientSession:
    """An HTTP client with a token and a new connection for every request."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connector = aiohttp.TCPConnector(force_close=True)
    return aiohttp.ClientSession(connector=connector, headers=headers)


@asynccontextmanager
async def round_robin(targets: Sequence[Address]) -> AsyncIterator[str]:
    """The URL of an address whose connections go to `targets` in turn; it knows nothing else."""
    turns = itertools.cycle(targets)
    writers: set[asyncio.StreamWriter] = set()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection(*next(turns))
        except ConnectionError:
            writer.close()
            return
        writers.update((writer, outer))
        await asyncio.gather(pump(reader, outer), pump(inner, writer))
        writers.difference_update((writer, outer))

    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(serve, HOST, 0)
        stack.callback(server.close)
        stack.callback(lambda: [writer.close() for writer in writers])
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
