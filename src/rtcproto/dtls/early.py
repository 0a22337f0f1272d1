"""Protected records that come before they can be opened.

Called by `handshaker`. Datagrams overtake each other: Finished comes before the
message ahead of it, application data before Finished. Handshake records wait for
OpenSSL, which opens Finished; all others wait for the take-over of the record
layer. Nothing here is authenticated, so it is little: junk from the peer's
address can fill it, and then must not cost the handshake.
"""

from __future__ import annotations

from rtcproto.dtls.record import ContentType, Record

__all__ = ["MAX_HELD", "EarlyRecords"]

# Finished, and what a peer sends right behind it.
MAX_HELD = 16


class EarlyRecords:
    """At most `MAX_HELD` records, in order of arrival."""

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: list[Record] = []

    def hold(self, record: Record) -> Record | None:
        """Keep `record`; the one that is dropped for it, or itself if there is no room.

        A handshake record takes the place of the oldest other one: without Finished,
        application data is worth nothing.
        """
        records = self._records
        records.append(record)
        if len(records) <= MAX_HELD:
            return None
        if _is_handshake(record):
            for index, held in enumerate(records):
                if not _is_handshake(held):
                    return records.pop(index)
        return records.pop()

    def take_handshake(self) -> list[Record]:
        """The handshake records; they are held no longer."""
        taken = [record for record in self._records if _is_handshake(record)]
        if taken:
            self._records = [record for record in self._records if not _is_handshake(record)]
        return taken

    def take(self) -> list[Record]:
        """All that are held; none are any longer."""
        taken, self._records = self._records, []
        return taken


def _is_handshake(record: Record) -> bool:
    return record.content_type == ContentType.HANDSHAKE
