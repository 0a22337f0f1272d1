"""Real calls across namespaces live through what is done to their relay, and to their clients.

`make faults` does more of it and measures. Here calls are counted, and that all are heard again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.fabric import why_no_fabric
from tests.faults.town import MOVED, Heard, Town

pytestmark = pytest.mark.live

# Seconds: some audio; a worker's or a relay's owner is heard at once, a client shows
# itself with its next check, at most 6 s later.
SOME, CHECK = 1.0, 7.0

CALLS = 4


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two transceivers behind one relay with two workers."""
    reason = why_no_fabric()
    if reason is not None:
        pytest.skip(f"hosts of their own: {reason}")
    with Town(tmp_path_factory.mktemp("town")) as town:
        yield town


def alive(calls: list[Heard], since: float) -> bool:
    """None was lost, and each heard something after `since` until its end."""
    return not any(call.lost for call in calls) and all(call.arrivals[-1] > since for call in calls)


def test_live_every_worker_is_killed(town: Town) -> None:
    """SIGKILL to one worker after the other: no call is lost, and others take their places."""
    party = town.call(CALLS, echo=False)
    party.wait()
    workers = town.workers(0)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        time.sleep(SOME)
    since = time.monotonic()
    time.sleep(SOME)
    assert alive(party.end(), since)
    assert not set(workers) & set(town.relays[0].children())
    assert town.relays[0].output().count("worker 0 ended with signal 9") == 1
    assert town.relays[0].output().count("worker 1 ended with signal 9") == 1


def test_live_the_relay_is_killed_and_started_again(town: Town) -> None:
    """It remembers nothing, and needs to be told nothing."""
    party = town.call(CALLS, echo=False)
    party.wait()
    town.relays[0].kill()
    since = town.start_relay(0)
    time.sleep(2 * SOME)
    assert alive(party.end(), since)


def test_live_the_clients_address_changes(town: Town) -> None:
    """The client's next check brings the call along, to an address nobody was told of."""
    party = town.call(CALLS)
    party.wait()
    party.rebind(MOVED)
    since = time.monotonic()
    time.sleep(CHECK)
    calls = party.end()
    assert alive(calls, since)
    # It was not just ignored: what was sent from the new address before the check is lost.
    assert all(call.returned < call.sent for call in calls)


def test_live_nothing_is_lost_in_a_small_flood(town: Town) -> None:
    """Invented sources, forged and replayed tokens, junk, slow TCP: the calls lose no packet."""
    party = town.call(CALLS)
    party.wait()
    flood = town.flood(party.checks, count=20_000, rate=10_000, connections=50)
    assert flood.wait_for("sent ")[1] == "sent 20000"
    time.sleep(SOME)
    forged = 'rtcproto_relay_dropped_packets_total{reason="bad_token"}'
    assert town.metric(0, forged) > 5000
    flows = [
        town.metric(0, f'rtcproto_relay_flows{{state="{state}"}}')
        for state in ("proven", "unproven")
    ]
    calls = party.end()
    assert alive(calls, 0.0)
    assert [call.sent - call.returned for call in calls] == [0] * CALLS
    # Calls of the tests before may not have been forgotten yet.
    assert CALLS <= sum(flows) <= 4 * CALLS
