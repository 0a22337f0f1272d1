"""Rows R2 and R4 against the relay program: real sockets, batches of packets, one machine.

Sources are invented within 127.0.0.0/8, where Linux lets anybody send from any address.
Small floods by default, those of the row's size under the marker `threats`.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from array import array
from collections import Counter
from pathlib import Path

import pytest

from examples.relay.columns import (
    BATCH,
    Outbox,
    SystemKernel,
    is_available,
    pointer_to,
    write_info,
    write_name,
)
from examples.relay.sockets import set_buffers
from rtcproto import stun
from rtcproto.routing import mint
from rtcproto.stun import Attribute
from tests.examples.relay_program import PATIENCE, RTP, Relay, until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or not is_available(), reason="needs 127.0.0.0/8"
    ),
]

# Calls that go on meanwhile, packets of each at least, and seconds between two.
CALLS, PACKETS, PAUSE = 100, 25, 0.01

# Packets per second of the flood; two cores carry relay, clients, owner and attacker.
RATE = 10_000


class Spoofer:
    """Sends one of `payloads` from each of `count` sources, in a thread."""

    def __init__(self, port: int, payloads: list[bytes], count: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._name = write_name(("127.0.0.1", port))
        self._payloads = payloads
        self._count = count
        self.sent = 0
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        outbox = Outbox(
            SystemKernel(), self._socket.fileno(), array("Q", [0] * BATCH), control_size=32
        )
        begun = time.monotonic()
        with self._socket:
            while self.sent < self._count:
                numbers = range(self.sent, min(self._count, self.sent + BATCH))
                controls = [
                    write_info(f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}", socket.AF_INET)
                    for n in numbers
                ]
                chosen = [self._payloads[n % len(self._payloads)] for n in numbers]
                failed = outbox.send(
                    memoryview(array("Q", [pointer_to(self._name)] * len(numbers))),
                    memoryview(array("Q", map(pointer_to, controls))),
                    memoryview(array("Q", map(len, chosen))),
                    array("Q", map(pointer_to, chosen)),
                )
                assert not failed
                self.sent += len(numbers)
                time.sleep(max(0.0, begun + self.sent / RATE - time.monotonic()))


class Owner:
    """Returns media to known clients, answers the checks of new calls, counts all else."""

    def __init__(self, relay: Relay) -> None:
        self._socket = relay.owner
        self._stopping = False
        self.welcome: set[bytes] = set()
        self.strangers: Counter[bytes] = Counter()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._socket.settimeout(0.1)
        while not self._stopping:
            try:
                data, hop = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if data[38:40] == RTP[:2]:
                self._socket.sendto(data, hop)
            elif data[38:] in self.welcome:
                self._socket.sendto(data[:38] + RTP, hop)
            else:
                self.strangers[data[38:]] += 1

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self.thread.join(PATIENCE)


def forged(relay: Relay) -> bytes:
    """A check whose token no key of the relay wrote."""
    username = mint(relay.codec, 0, 1, 0, os.urandom)[:-4] + "AAAA:abcd"
    return stun.build(1, 0, os.urandom(12), [(Attribute.USERNAME, username)])


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.threats)], ids=["small", "full"]
)
def test_r2_live_spoofed_sources_leave_nothing(tmp_path: Path, count: int) -> None:
    """Half of the sources forge tokens, half replay a valid check: no flow is made, running calls
    lose nothing, new ones begin meanwhile.
    """
    with Relay(tmp_path, "--socket-buffer=16384") as relay:
        set_buffers(relay.owner, 16 << 20)
        calls = [relay.call() for _ in range(CALLS)]
        replayed = relay.check()
        owner = Owner(relay)
        flood = Spoofer(relay.port, [forged(relay), replayed], count)
        owner.thread.start()
        flood.thread.start()
        new: list[socket.socket] = []
        number = 0
        try:
            while flood.thread.is_alive() or number < PACKETS:
                for call in calls:
                    call.client.send(RTP + number.to_bytes(4, "big"))
                for call in calls:
                    # In order, every one of them, there and back.
                    assert call.client.recv(4096) == RTP + number.to_bytes(4, "big")
                if len(new) <= 5 * flood.sent // count:
                    client, check = relay.client(), relay.check()
                    owner.welcome.add(check)
                    client.send(check)
                    assert client.recv(4096) == RTP
                    new.append(client)
                number += 1
                time.sleep(PAUSE)
            assert flood.sent == count
            bad = 'rtcproto_relay_dropped_packets_total{reason="bad_token"}'
            until(lambda: relay.metric(bad) == count / 2, "not all forgeries arrived")
            proven, unproven = (
                relay.metric(f'rtcproto_relay_flows{{state="{state}"}}')
                for state in ("proven", "unproven")
            )
            # New calls say no more than one word each, so their flows may be over.
            assert CALLS <= proven <= CALLS + len(new)
            assert unproven == 0
        finally:
            flood.thread.join(count / RATE + PATIENCE)
            owner.stop()
        assert len(new) >= 5
        assert owner.strangers == {replayed: count // 2}


def test_r4_live_a_spoofed_victim_loses_nothing(tmp_path: Path) -> None:
    """Valid checks of another owner's session, sent from the victim's address, and that owner's
    answers: the victim's media goes on to its own owner.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(PATIENCE)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with Relay(tmp_path, f"--transceiver=0/2=127.0.0.1:{port}") as relay:
            call = relay.call()
            username = mint(relay.codec, 0, 2, 0, os.urandom) + ":abcd"
            check = stun.build(1, 0, bytes(12), [(Attribute.USERNAME, username)])
            for number in range(100):
                payload = RTP + bytes((number,))
                # Two of the attacker's for each of the victim's.
                for _ in range(2):
                    call.client.send(check)
                    data, hop = other.recvfrom(4096)
                    assert data == call.header + check
                    other.sendto(call.header + RTP, hop)
                    assert call.client.recv(4096) == RTP
                call.client.send(payload)
                assert relay.owner.recv(4096) == call.header + payload
                relay.owner.sendto(call.header + payload, call.hop)
                assert call.client.recv(4096) == payload
            refused = 'rtcproto_relay_flows_kept_from_total{reason="takeover"}'
            until(lambda: relay.metric(refused) == 200, "not counted")
            # Released, the address is the other's with its next reply.
            relay.owner.sendto(call.header, call.hop)
            reason = 'rtcproto_relay_flows{state="proven"}'
            until(lambda: relay.metric(reason) == 0, "not released")
            other.sendto(call.header + RTP, call.hop)
            assert call.client.recv(4096) == RTP
            call.client.send(RTP)
            assert other.recv(4096) == call.header + RTP
