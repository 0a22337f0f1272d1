"""The relay as several processes: what a killed worker costs, draining, new keys, health."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from examples.relay.keys import main as keys_main
from examples.relay.main import main as relay_main
from rtcproto.routing import parse_header
from tests.examples.relay_program import PATIENCE, RTP, Relay, until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and 127.0.0.0/8"),
]


def test_live_a_killed_worker_costs_no_packet(tmp_path: Path) -> None:
    """Another one goes on with its sockets: what was sent in between arrives, both ways."""
    with Relay(tmp_path, "--workers=2") as relay:
        calls = [relay.call() for _ in range(12)]
        hops = sorted({call.hop for call in calls}, key=lambda hop: relay.line.index(f":{hop[1]}"))
        assert len(hops) == 2, "twelve clients on one worker"
        workers = relay.workers()
        # Stopped, so that it takes nothing with it that it has received and not yet sent.
        os.kill(workers[0], signal.SIGSTOP)
        stat = Path(f"/proc/{workers[0]}/stat")
        until(lambda: stat.read_text().rpartition(") ")[2][0] == "T", "does not stop")
        # Its own calls and those of the other one; the owner speaks first, as media does.
        for number in range(20):
            payload = RTP + bytes((number,))
            for call in calls:
                relay.owner.sendto(call.header + payload, call.hop)
                call.client.send(payload)
        os.kill(workers[0], signal.SIGKILL)
        for call in calls:
            heard = [call.client.recv(4096)[-1] for _ in range(20)]
            assert heard == list(range(20)), call.hop
        arrived = sorted(relay.owner.recv(4096) for _ in range(20 * len(calls)))
        assert arrived == sorted(
            call.header + RTP + bytes((number,)) for call in calls for number in range(20)
        )
        until(lambda: relay.metric("rtcproto_relay_worker_restarts_total") == 1, "no restart")
        until(lambda: relay.ask("/readyz")[0] == 200, "not ready again")
        assert len(set(relay.workers()) & set(workers)) == 2, "the other two were left alone"
        assert relay.metric("rtcproto_relay_workers") == 2


def test_live_drain(tmp_path: Path) -> None:
    """After SIGTERM known calls go on, new ones do not begin; the last one ends it, status 0."""
    with Relay(tmp_path, "--drain-timeout=600") as relay:
        call = relay.call()
        relay.process.send_signal(signal.SIGTERM)
        until(lambda: relay.ask("/readyz")[0] == 503, "still ready")
        assert relay.ask("/livez")[0] == 200
        until(lambda: relay.metric("rtcproto_relay_draining") == 1, "does not drain")
        stranger = relay.client()
        reason = 'rtcproto_relay_dropped_packets_total{reason="draining"}'

        def refused() -> bool:
            stranger.send(relay.check())
            return relay.metric(reason) > 0

        until(refused, "a new call was let in")
        # Until the worker had heard of it, new ones were.
        relay.drop_what_arrived()
        check = relay.check()
        for payload in (RTP, check):
            call.client.send(payload)
            assert relay.owner.recv(4096) == call.header + payload
        relay.owner.sendto(call.header + RTP, call.hop)
        assert call.client.recv(4096) == RTP
        relay.owner.sendto(call.header, call.hop)
        assert relay.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_live_a_second_signal_ends_a_drain(tmp_path: Path, number: signal.Signals) -> None:
    """At once, status 0."""
    with Relay(tmp_path, "--drain-timeout=600", "--workers=2") as relay:
        for _ in range(4):
            relay.call()
        relay.process.send_signal(signal.SIGTERM)
        until(lambda: relay.ask("/readyz")[0] == 503, "still ready")
        relay.process.send_signal(number)
        assert relay.process.wait(PATIENCE) == 0


def test_live_new_keys(tmp_path: Path) -> None:
    """A key that was added to the file is accepted without a restart; calls go on."""
    with Relay(tmp_path, "--workers=2") as relay:
        call = relay.call()
        for step in (["add"], ["activate", "B"], ["remove", "A"]):
            assert keys_main([step[0], str(relay.keys), *step[1:]]) == 0
        reloads = "rtcproto_relay_reloads_total"
        until(lambda: relay.metric(reloads) >= 1, "was not read")
        client, check = relay.client(), relay.check()

        def routed() -> bool:
            client.send(check)
            relay.owner.settimeout(0.1)
            try:
                return relay.owner.recv(4096)[38:] == check
            except TimeoutError:
                return False

        until(routed, "the new key is not accepted")
        # Nothing is changed by a file that cannot be read.
        relay.keys.write_text("nonsense\n")
        failures = "rtcproto_relay_reload_failures_total"
        until(lambda: relay.metric(failures) == 1, "was not looked at")
        until(routed, "the keys are gone")
        relay.owner.sendto(call.header + RTP, call.hop)
        assert call.client.recv(4096) == RTP


def test_live_metrics_name_nobody(tmp_path: Path) -> None:
    """Counters of what happened, and not one address, port or token."""
    with Relay(tmp_path) as relay:
        call = relay.call()
        call.client.send(b"junk")
        inward = 'rtcproto_relay_packets_total{direction="inward",leg="udp"}'
        for _ in range(40):
            call.client.send(RTP)
            relay.owner.recv(4096)
        until(lambda: relay.metric(inward) == 41, "not counted")
        text = relay.ask("/metrics")[1]
        assert 'reason="not_routable"} 1.0' in text
        assert 'flows{state="proven"} 1.0' in text
        assert relay.metric("rtcproto_relay_forwarding_delay_seconds_count") > 0
        assert "127.0.0.1" not in text
        assert not re.search(r'="\d{4,}"', text), "a port"
        for label in re.findall(r'="([^"]*)"', text):
            assert len(label) < 20, "a token"
        assert relay.ask("/nonsense")[0] == 404


@pytest.mark.parametrize("io", ["plain", "batched"])
@pytest.mark.parametrize("six", [False, True], ids=["ipv4", "ipv6"])
def test_live_a_wildcard_answers_from_the_address_that_was_used(
    tmp_path: Path, io: str, six: bool
) -> None:
    """Each address of the machine stands for a public one, and answers for itself."""
    names = (
        {"::1": "2001:db8::1"} if six else {"127.0.0.2": "203.0.113.2", "127.0.0.3": "203.0.113.3"}
    )
    flags = [f"--advertise={local}={public}" for local, public in names.items()]
    listen = "[::]:0" if six else "0.0.0.0:0"
    with Relay(tmp_path, f"--io={io}", *flags, listen=listen) as relay:
        assert f"{io} I/O" in relay.line
        for local, public in names.items():
            call = relay.call(local)
            assert parse_header(call.header)[1] == (public, relay.port)
            for number in range(3):
                relay.owner.sendto(call.header + RTP + bytes(number), call.hop)
                assert call.client.recv(4096) == RTP + bytes(number)
                call.client.send(RTP + bytes(number))
                assert relay.owner.recv(4096) == call.header + RTP + bytes(number)
        if not six:
            # An address that nobody was told.
            relay.client("127.0.0.4").send(relay.check())
            reason = 'rtcproto_relay_dropped_packets_total{reason="wrong_address"}'
            until(lambda: relay.metric(reason) == 1, "not counted")


def test_live_workers_are_pinned(tmp_path: Path) -> None:
    """`--pin` leaves each worker one core."""
    with Relay(tmp_path, "--pin", "--stats=0.1") as relay:
        worker = relay.workers()[0]
        until(lambda: len(os.sched_getaffinity(worker)) == 1, "not pinned")
        assert relay.process.stdout is not None
        stats = json.loads(relay.process.stdout.readline())
        assert stats["worker_restarts"] == 0
        # A parent that is killed takes everybody with it: the port is free.
        relay.process.kill()
        relay.process.wait()
        until(lambda: not Path(f"/proc/{worker}").exists(), "the worker lives on")


@pytest.mark.parametrize("flag", ["--http", "--inside"])
def test_live_ports_in_use(tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and status 2."""
    keys = tmp_path / "keys"
    assert keys_main(["make", str(keys)]) == 0
    kind = socket.SOCK_STREAM if flag == "--http" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        addresses = {"--listen": 0, "--inside": 0, "--http": 0, flag: port}
        capsys.readouterr()
        assert relay_main([
            *(f"{name}=127.0.0.1:{number}" for name, number in addresses.items()),
            f"--keys={keys}", "--transceiver=0/1=10.0.0.1:9000",
        ]) == 2  # fmt: skip
    said = capsys.readouterr().err
    assert said.startswith(f"relay: {flag} ")
    assert "in use" in said
    assert said.count("\n") == 1
