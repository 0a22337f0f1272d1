"""The faults, each as a function of a running `Town` that gives rows.

Two kinds of calls suffer them. In *talking* calls the owner sends 50 packets a second whatever
happens; in *silent* ones it only returns what it gets, so nothing comes from it while the client is
not heard. In both the client sends 50 packets a second.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from tests.faults.report import Row, measure
from tests.faults.town import HOME, MOVED, Party, Town

__all__ = [
    "black_hole",
    "flooded",
    "nothing",
    "rebinding",
    "relay_killed",
    "rolling_restart",
    "store_killed",
    "worker_killed",
]

# Calls of each kind.
CALLS = 15

# Seconds of audio before and after what is done to it.
CALM = 1.0

# Milliseconds: a client's consent check comes every 5 s +- 20 % (RFC 7675), and a round trip and
# a wake-up late on a busy machine.
CHECK = 6000.0 + 100.0

# Seconds to wait for a client's next check, and for a move to another relay after it.
NEXT_CHECK = 6.5
MOVE = 8.5


def _place(town: Town, *, talking: int = CALLS, silent: int = CALLS) -> tuple[Party, ...]:
    parties = [town.call(count, echo=echo) for count, echo in ((talking, False), (silent, True))
               if count]  # fmt: skip
    for party in parties:
        party.wait()
    time.sleep(CALM)
    return tuple(parties)


def nothing(town: Town) -> Iterator[Row]:
    """For comparison."""
    parties = _place(town)
    since = time.monotonic()
    time.sleep(2.0)
    heard = [call for party in parties for call in party.end()]
    yield measure("none, for comparison", heard, since, goal="")


def worker_killed(town: Town, *, store: bool) -> Iterator[Row]:
    """Each worker in turn, so that every call is hit."""
    talking, silent = _place(town)
    since = time.monotonic()
    for pid in town.workers(0):
        os.kill(pid, signal.SIGKILL)
        time.sleep(CALM)
    name = f"worker killed, {'store' if store else 'no store'}"
    yield measure(f"{name}, owner talks", talking.end(), since, goal="gap 100 ms", gap=100)
    if not store:
        time.sleep(NEXT_CHECK - CALM)
    heard = silent.end()
    if store:
        yield measure(f"{name}, owner silent", heard, since, goal="gap 200 ms", gap=200)
    else:
        yield measure(f"{name}, owner silent", heard, since, goal="one check: 6 s", gap=CHECK)


def relay_killed(town: Town, *, store: bool) -> Iterator[Row]:
    """All of it, and started again at once."""
    talking, silent = _place(town)
    since = time.monotonic()
    town.relays[0].kill()
    listening = town.start_relay(0)
    time.sleep(CALM)
    name = f"relay killed, {'store' if store else 'no store'}"
    yield measure(f"{name}, owner talks", talking.end(), since, listening=listening,
                  goal="200 ms after listening", after_listening=200)  # fmt: skip
    if not store:
        time.sleep(NEXT_CHECK - CALM)
    limit, goal = (200.0, "200 ms") if store else (CHECK, "6 s")
    yield measure(f"{name}, owner silent", silent.end(), since, listening=listening,
                  goal=f"{goal} after listening", after_listening=limit)  # fmt: skip


def store_killed(town: Town) -> Iterator[Row]:
    """Nothing happens."""
    talking, silent = _place(town)
    assert town.store is not None
    since = time.monotonic()
    town.store.kill()
    time.sleep(3.0)
    talking.end()
    yield measure("Redis killed", silent.end(), since, goal="no packet lost", packets=0)


def rebinding(town: Town) -> Iterator[Row]:
    """A NAT forgets: another port, or another address. The owner of half of the calls talks."""
    halves = [(HOME, "port", _place(town)), (MOVED, "address", _place(town))]
    since = time.monotonic()
    for host, _, parties in halves:
        for party in parties:
            party.rebind(host)
    time.sleep(NEXT_CHECK)
    for _, what, parties in halves:
        heard = [call for party in parties for call in party.end()]
        yield measure(f"client's {what} changes", heard, since, goal="one check: 6 s", gap=CHECK)


def black_hole(town: Town) -> Iterator[Row]:
    """One of two relays goes silent, and nobody is told."""
    talking, silent = _place(town)
    since = time.monotonic()
    town.relay_hosts[0].unplug()
    time.sleep(MOVE)
    town.relay_hosts[0].plug()
    address = town.relay_hosts[0].address
    everybody = talking.end() + silent.end()
    hit = [call for call in everybody if _relay_at(call.remotes, since) == address]
    others = len(everybody) - len(hit)
    yield measure("one of two relays black-holed, our client", hit, since, goal="it moves",
                  note=f"{others} other calls used the other relay")  # fmt: skip


def rolling_restart(town: Town, calls: int) -> Iterator[Row]:
    """SIGTERM to every relay, one after the other, each back before the next goes."""
    parties = _place(town, talking=calls // 2, silent=calls - calls // 2)
    since = time.monotonic()
    for number in range(len(town.relays)):
        town.relays[number].terminate()
        town.start_relay(number)
        time.sleep(NEXT_CHECK)
    heard = [call for party in parties for call in party.end()]
    yield measure("rolling restart of both relays", heard, since, goal="no lost call")


def flooded(town: Town, *, calls: int, count: int, rate: float, connections: int) -> Iterator[Row]:
    """Invented sources: forged and replayed tokens, junk; TCP connections that crawl."""
    (party,) = _place(town, talking=0, silent=calls)
    since = time.monotonic()
    flood = town.flood(party.checks, count=count, rate=rate, connections=connections)
    _, line = flood.wait_for("sent ", 3 * count / rate + 30)
    seconds = time.monotonic() - since
    time.sleep(CALM)
    flows = sum(
        town.metric(0, f'rtcproto_relay_flows{{state="{s}"}}') for s in ("proven", "unproven")
    )
    opened = town.metric(0, "rtcproto_relay_tcp_opened_total")
    row = measure(
        f"{count:,} invented sources, {connections} slow TCP clients",
        party.end(),
        since,
        goal="no packet lost",
        packets=0,
        note=f"{line} in {seconds:.0f} s, {opened:.0f} TCP connections taken;"
        f" the relay had {flows:.0f} flows afterwards",
    )
    yield row


def _relay_at(remotes: list[tuple[float, str]], when: float) -> str:
    return [remote for at, remote in remotes if at <= when][-1]
