"""The relay's store: flows and the transceivers' registrations in Redis (or Valkey).

What to write and to ask is decided by the library (`rtcproto.relay`, `rtcproto.routing.leases`);
this module carries it to Redis and back. It does so in threads of its own, with one
pipeline per batch, so that a store that is slow or down costs the worker's loop nothing. While it
is down nothing is queued for it: the relay is then as without. Reconnecting backs off.

Keys, all with the prefix `rtcproto:`:

```text
flow:CLIENT|PUBLIC[|VIA]   HOST:PORT of the owner; expires by itself
owners                     a hash: cluster/owner -> host:port@epoch expires
owners:changed             a channel: somebody has registered
```

Nothing found here is believed: flows must lead to owners that the directory lists, and
registrations must lie in the networks that the relay was started with.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import redis

from examples.cli import SettingsError, show
from rtcproto.datagram import Address
from rtcproto.errors import ParseError
from rtcproto.relay import Command, ForgetFlow, LookUpFlow, RelayCore, StoreFlow
from rtcproto.routing import LeaseBook, StaticDirectory, parse_address
from rtcproto.routing.table import FlowKey

__all__ = ["CHANGED", "MAX_QUEUE", "OWNERS", "DirectoryReader", "FlowStore", "connect", "flow_name"]

PREFIX = "rtcproto:"
OWNERS = PREFIX + "owners"
CHANGED = PREFIX + "owners:changed"

# Commands that wait for the store; later ones are dropped. At 100 us each they are 0.4 s old.
MAX_QUEUE = 4096

# Commands in one pipeline.
BATCH = 512

# Answers that the worker has not taken; more questions than that are not under way.
MAX_ANSWERS = 4096

# Seconds after which a question is not worth asking any more.
STALE = 0.25

# Seconds that one exchange with the store may take.
TIMEOUT = 1.0

# Seconds between attempts to connect: doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

# Seconds between two reads of all registrations, if no message comes before.
POLL = 1.0

# Deletes a record unless another owner has replaced it.
_FORGET = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


def connect(url: str) -> redis.Redis:
    """A client; nothing is sent yet. SettingsError for what is not a redis:// address."""
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            # What is not UTF-8 becomes a text that nothing takes for a record.
            encoding_errors="replace",
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # Whoever calls us backs off; doubling that here would hide it.
            retry=None,
        )
    except ValueError:
        # The error's own text may quote a part of the address, and so of the password.
        raise SettingsError("redis: not an address like redis://HOST:PORT") from None


def flow_name(key: FlowKey) -> str:
    """The name of a flow's record."""
    return f"{PREFIX}flow:{'|'.join(map(show, key))}"


class _Thread:
    """Runs `_exchange` again and again, with pauses after failures."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client = client
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ready = threading.Event()
        self.is_connected = False
        self.errors = 0

    def start(self) -> None:
        """Begin. After a fork, not before: threads do not survive one."""
        self._thread.start()

    def wait_ready(self, seconds: float) -> None:
        """Return once the store can be used, or cannot; after `seconds` in any case."""
        self._ready.wait(seconds)

    def close(self) -> None:
        """End soon, and wait for that."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(2 * TIMEOUT)
        self._client.close()

    def _wake(self) -> None:
        """Have `_exchange` return soon."""

    def _exchange(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                if not self.is_connected:
                    self._client.ping()
                    self.is_connected = True
                self._exchange()
                pause = FIRST_PAUSE
            except redis.RedisError:
                self.is_connected = False
                self.errors += 1
                self._ready.set()
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


class FlowStore(_Thread):
    """Carries the core's commands to the store, and its answers back.

    A timer of the worker: `handle_timer` gives the core what was found. `wake` makes the worker's
    loop look at its timers; it must be safe to call from any thread.
    """

    def __init__(
        self,
        client: redis.Redis,
        core: RelayCore,
        wake: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(client, "flow store")
        self._core = core
        self._wake_worker = wake
        self._clock = clock
        self._something = threading.Condition()
        self._queue: deque[tuple[Command, float]] = deque()
        self._answers: deque[tuple[FlowKey, Address | None]] = deque(maxlen=MAX_ANSWERS)
        self._counts = dict.fromkeys(
            ("store_writes", "store_lookups", "store_found", "store_dropped", "store_microseconds"),
            0,
        )

    def submit(self, commands: Sequence[Command]) -> None:
        """What the core wants; dropped while the store is down or behind."""
        now = self._clock()
        with self._something:
            room = MAX_QUEUE - len(self._queue) if self.is_connected else 0
            self._queue.extend((command, now) for command in commands[:room])
            self._counts["store_dropped"] += max(0, len(commands) - room)
            self._something.notify()

    def get_timer(self) -> float | None:
        """At once, if there are answers."""
        return 0.0 if self._answers else None

    def handle_timer(self, now: float) -> None:
        """Give the core its answers."""
        while self._answers:
            key, owner = self._answers.popleft()
            self._core.flow_found(key, owner, now)

    def values(self) -> Mapping[str, int]:
        """Counters by name."""
        return {**self._counts, "store_errors": self.errors, "store_up": int(self.is_connected)}

    # Private, in the thread

    def _wake(self) -> None:
        with self._something:
            self._something.notify()

    def _exchange(self) -> None:
        self._ready.set()
        with self._something:
            if not self._queue:
                self._something.wait(POLL)
            waiting = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        if not waiting:
            # So that a store that went away is noticed before it is needed.
            self._client.ping()
            return
        started = self._clock()
        asked: list[FlowKey] = []
        places: list[int] = []
        with self._client.pipeline(transaction=False) as pipeline:
            for command, since in waiting:
                match command:
                    case StoreFlow():
                        name, ttl = flow_name(command.key), int(command.ttl * 1000)
                        pipeline.set(name, show(command.owner), px=ttl)
                    case ForgetFlow():
                        pipeline.eval(_FORGET, 1, flow_name(command.key), show(command.owner))
                    case LookUpFlow():
                        if started - since > STALE:
                            continue
                        asked.append(command.key)
                        places.append(len(pipeline))
                        pipeline.get(flow_name(command.key))
            writes = len(pipeline) - len(asked)
            results = pipeline.execute() if len(pipeline) else []
        found = 0
        for key, place in zip(asked, places, strict=True):
            owner = _owner_in(results[place])
            found += owner is not None
            self._answers.append((key, owner))
        self._counts["store_writes"] += writes
        self._counts["store_lookups"] += len(asked)
        self._counts["store_found"] += found
        self._counts["store_microseconds"] += int((self._clock() - started) * 1e6)
        if asked:
            self._wake_worker()


def _owner_in(value: object) -> Address | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_address(value)
    except ParseError:
        return None


class DirectoryReader(_Thread):
    """Follows the transceivers' registrations. A timer of the worker, like `FlowStore`."""

    def __init__(
        self,
        client: redis.Redis,
        book: LeaseBook,
        apply: Callable[[StaticDirectory, float], None],
        wake: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(client, "directory")
        self._book = book
        self._apply = apply
        self._wake_worker = wake
        self._clock = clock
        self._changes: redis.client.PubSub | None = None
        # The newest that was read and not yet looked at: records, and the store's clock.
        self._read: deque[tuple[Mapping[str, str], float]] = deque(maxlen=1)

    def get_timer(self) -> float | None:
        """At once, if something was read."""
        return 0.0 if self._read else None

    def handle_timer(self, now: float) -> None:
        """Use what was read, if it differs."""
        while self._read:
            directory = self._book.update(*self._read.popleft(), now)
            if directory is not None:
                self._apply(directory, now)

    def values(self) -> Mapping[str, int]:
        """Counters by name."""
        return {
            "directory_entries": len(self._book.directory.entries),
            "directory_refused": self._book.refused,
            "directory_errors": self.errors,
            "directory_up": int(self.is_connected),
        }

    # Private, in the thread

    def _exchange(self) -> None:
        try:
            if self._changes is None:
                self._changes = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                self._changes.subscribe(CHANGED)
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.time()
                pipeline.hgetall(OWNERS)
                (seconds, microseconds), records = pipeline.execute()
            self._read.append((records, seconds + microseconds / 1e6))
            self._ready.set()
            self._wake_worker()
            # A burst of changes is one read.
            deadline = self._clock() + POLL
            while not self._stopping.is_set() and (left := deadline - self._clock()) > 0:
                if self._changes.get_message(timeout=min(left, POLL / 4)) is not None:
                    break
        except redis.RedisError:
            if self._changes is not None:
                self._changes.close()
                self._changes = None
            raise
