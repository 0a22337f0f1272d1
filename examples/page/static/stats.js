// What the browser measures (RTCPeerConnection.getStats), as the few numbers that matter.

/** Keeps the counters of the last reading, so that loss can be told per interval. */
export class StatsReader {
  #last = null;

  /** `report` is an RTCStatsReport; times in milliseconds, loss in per cent, null: unknown. */
  read(report) {
    const all = [...report.values()];
    const find = (type, test = () => true) => all.find((entry) => entry.type === type && test(entry));
    const audio = (entry) => (entry.kind ?? entry.mediaType) === "audio";
    const inbound = find("inbound-rtp", audio);
    const outbound = find("outbound-rtp", audio);
    const remote = find("remote-inbound-rtp", audio);
    const transport = find("transport");
    const pair =
      report.get(transport?.selectedCandidatePairId) ??
      find("candidate-pair", (entry) => entry.selected ?? (entry.nominated && entry.state === "succeeded"));
    const address = pair && report.get(pair.remoteCandidateId);
    const codec = report.get(inbound?.codecId ?? outbound?.codecId);
    return {
      rtt: milliseconds(remote?.roundTripTime ?? pair?.currentRoundTripTime),
      jitter: milliseconds(inbound?.jitter),
      loss: this.#loss(inbound),
      received: inbound?.packetsReceived ?? 0,
      sent: outbound?.packetsSent ?? 0,
      remote: address && `${show(address)} (${address.protocol})`,
      codec: codec && `${codec.mimeType.replace("audio/", "")}, ${codec.clockRate / 1000} kHz`,
      cipher: transport?.srtpCipher ?? transport?.dtlsCipher,
    };
  }

  #loss(inbound) {
    if (!inbound) return null;
    const now = { received: inbound.packetsReceived, lost: inbound.packetsLost };
    const last = this.#last ?? { received: 0, lost: 0 };
    this.#last = now;
    // A late packet takes a loss back, so the difference may be negative.
    const lost = Math.max(0, now.lost - last.lost);
    const expected = now.received - last.received + lost;
    return expected > 0 ? (100 * lost) / expected : null;
  }
}

function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}

function show({ address, port }) {
  return address?.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
