"""The full agent with aioice over loopback sockets: both roles, conflicts, media through it."""

import asyncio
import os
import statistics
import time

import pytest

from rtcproto.ice import (
    Candidate,
    Credentials,
    IceAgent,
    IceConfig,
    PathSelected,
    host_candidate,
    is_routable,
)

aioice = pytest.importorskip("aioice", reason="aioice is not installed")

pytestmark = pytest.mark.interop

LOOPBACK = "127.0.0.1"


class Shell(asyncio.DatagramProtocol):
    """The smallest thing that drives an agent from a socket."""

    def __init__(self, controlling: bool) -> None:
        self.now = asyncio.get_running_loop().time
        self.credentials = Credentials(os.urandom(3).hex(), os.urandom(12).hex())
        self.agent = IceAgent(IceConfig(), self.credentials, controlling, os.urandom, self.now())
        self.transport: asyncio.DatagramTransport | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.events: list[object] = []
        self.selected = asyncio.Event()
        self.payloads: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def candidate(self) -> Candidate:
        """Our only candidate."""
        return host_candidate(self.transport.get_extra_info("sockname"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.agent.add_local_candidate(self.candidate, self.now())

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data[0] < 4:
            self.agent.receive_datagram(data, addr, self.now())
            self.settle()
        else:
            self.payloads.put_nowait(data)

    def wake(self) -> None:
        """A deadline has come."""
        self.agent.handle_timer(max(self.now(), self.agent.get_timer() or 0))
        self.settle()

    def settle(self) -> None:
        """Drain the agent and arm its timer."""
        for event in self.agent.next_events():
            self.events.append(event)
            if isinstance(event, PathSelected):
                self.selected.set()
        for datagram in self.agent.datagrams_to_send():
            self.transport.sendto(datagram.data, datagram.destination)
        if self.timer is not None:
            self.timer.cancel()
        deadline = self.agent.get_timer()
        if deadline is not None:
            self.timer = asyncio.get_running_loop().call_at(deadline, self.wake)

    def close(self) -> None:
        """Stop."""
        if self.timer is not None:
            self.timer.cancel()
        self.transport.close()


async def connect(*, ours: bool, theirs: bool) -> tuple[Shell, "aioice.Connection", float]:
    """Both ends, connected; the seconds our end took to select a path."""
    loop = asyncio.get_running_loop()
    peer = aioice.Connection(ice_controlling=theirs)
    await peer.gather_candidates()
    transport, shell = await loop.create_datagram_endpoint(
        lambda: Shell(ours), local_addr=(LOOPBACK, 0)
    )
    assert transport is shell.transport
    peer.remote_username = shell.credentials.ufrag
    peer.remote_password = shell.credentials.pwd
    await peer.add_remote_candidate(aioice.Candidate.from_sdp(str(shell.candidate)[10:]))
    await peer.add_remote_candidate(None)
    candidates = [Candidate.parse(candidate.to_sdp()) for candidate in peer.local_candidates]
    candidates = [c for c in candidates if is_routable(c, allow_loopback=True)]
    assert candidates
    started = time.perf_counter()
    connecting = asyncio.ensure_future(peer.connect())
    shell.agent.set_remote(
        Credentials(peer.local_username, peer.local_password), candidates, shell.now()
    )
    shell.settle()
    await asyncio.wait_for(shell.selected.wait(), 10)
    took = time.perf_counter() - started
    await asyncio.wait_for(connecting, 10)
    return shell, peer, took


async def exchange(ours: bool, theirs: bool) -> float:
    """Connect, send a payload each way, and close; the seconds it took to select."""
    shell, peer, took = await connect(ours=ours, theirs=theirs)
    try:
        await peer.send(b"\x80 from aioice")
        assert await asyncio.wait_for(shell.payloads.get(), 5) == b"\x80 from aioice"
        path = shell.agent.selected_path
        assert path is not None
        shell.transport.sendto(b"\x80 from us", path[0])
        assert await asyncio.wait_for(peer.recv(), 5) == b"\x80 from us"
        assert shell.agent.controlling is not peer.ice_controlling
    finally:
        await peer.close()
        shell.close()
    return took


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer leaves loopback out by itself; here it is all we want."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [LOOPBACK])


@pytest.mark.parametrize(
    ("ours", "theirs"), [(True, False), (False, True), (True, True), (False, False)]
)
def test_connects(ours: bool, theirs: bool) -> None:
    """Either role, and both conflicts, end with media in both directions."""
    took = [asyncio.run(exchange(ours, theirs)) for _ in range(3)]
    print(f"selected after {1000 * statistics.median(took):.1f} ms")
