// One call: an offer is posted, the answer applied, the phases of the set-up are timed.
//
// The server is reached by the addresses in its answer alone: no ICE servers, and the
// offer is posted at once, before any candidate is gathered. The server learns our
// address from our first connectivity check.

const CALLS = "/v1/realtime/calls";

// The data channel that carries the events of the realtime interface.
const CHANNEL = "oai-events";

// How long a server may take to answer the offer, milliseconds.
const ANSWER_TIMEOUT = 10_000;

// How long it may take to accept that the call is over, milliseconds.
const HANGUP_TIMEOUT = 2_000;

/** The server answered, and its answer is no. */
class CallRefused extends Error {}

/**
 * Events: "phase" {name, elapsed ms}, "track" {stream}, "state" {state}, "message" (one of the
 * server's, parsed), "closed" {reason, status}. `model` is who answers, null for the server's choice.
 */
export class Call extends EventTarget {
  #pc = new RTCPeerConnection();
  #started = performance.now();
  #location = null;
  #reached = new Set();
  #closed = false;
  #model;
  #channel;

  constructor(track, stream, model = null) {
    super();
    this.#model = model;
    this.#channel = this.#pc.createDataChannel(CHANNEL);
    this.#channel.addEventListener("message", ({ data }) => this.#emit("message", JSON.parse(data)));
    this.#pc.addTrack(track, stream);
    this.#pc.addEventListener("track", (event) => this.#onTrack(event));
    this.#pc.addEventListener("connectionstatechange", () => this.#onState());
    this.#pc.addEventListener("iceconnectionstatechange", () => {
      if (["connected", "completed"].includes(this.#pc.iceConnectionState)) this.#reach("ice");
    });
  }

  /** Resolves once the answer is applied; rejects with an Error fit to be shown. */
  async place() {
    try {
      await this.#pc.setLocalDescription();
      this.#reach("offer");
      const answer = await this.#post(this.#pc.localDescription.sdp);
      if (this.#closed) {
        await this.#delete();
        return;
      }
      this.#reach("answer");
      await this.#pc.setRemoteDescription({ type: "answer", sdp: answer });
      this.#watchDtls();
    } catch (error) {
      if (this.#closed) return;
      this.close(error.message, error instanceof CallRefused ? "The call was refused." : "No call.");
      throw error;
    }
  }

  /** Sends an event of the realtime interface; nothing happens without its channel. */
  send(message) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  getStats() {
    return this.#pc.getStats();
  }

  /** Ends the call, here and on the server. `status` says in a few words what became of it. */
  close(reason = "hung up", status = "The call is over.") {
    if (this.#closed) return;
    this.#closed = true;
    // The server hears of it first: once our side is closed, its side has gone as well,
    // and the request would find nothing to delete.
    this.#delete().finally(() => this.#pc.close());
    this.#emit("closed", { reason, status });
  }

  async #post(offer) {
    let response;
    try {
      const query = this.#model === null ? "" : `?model=${encodeURIComponent(this.#model)}`;
      response = await fetch(CALLS + query, {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: offer,
        signal: AbortSignal.timeout(ANSWER_TIMEOUT),
      });
    } catch (error) {
      if (error.name === "TimeoutError") throw new Error("The server did not answer in time.");
      throw new Error("The server cannot be reached.");
    }
    const body = await response.text();
    if (!response.ok) throw new CallRefused(errorMessage(response, body));
    const location = response.headers.get("Location");
    this.#location = location && new URL(location, response.url);
    return body;
  }

  async #delete() {
    const location = this.#location;
    this.#location = null;
    if (!location) return;
    try {
      // `keepalive` lets it finish after the page is gone.
      const signal = AbortSignal.timeout(HANGUP_TIMEOUT);
      await fetch(location, { method: "DELETE", keepalive: true, signal });
    } catch {
      // The server ends the call by itself when our packets stop.
    }
  }

  #onTrack({ track, streams }) {
    const arrived = () => this.#reach("media");
    track.addEventListener("unmute", arrived);
    if (!track.muted) arrived();
    this.#emit("track", { stream: streams[0] ?? new MediaStream([track]) });
  }

  #watchDtls() {
    const transport = this.#pc.getSenders()[0]?.transport;
    const look = () => {
      if (transport?.state === "connected") this.#reach("dtls");
      // The server's farewell (close_notify): the connection itself does not tell of it.
      if (transport?.state === "closed") this.close("The server ended the call.");
    };
    transport?.addEventListener("statechange", look);
    look();
  }

  #onState() {
    const state = this.#pc.connectionState;
    if (state === "connected") {
      // Covers browsers that do not show their transports.
      this.#reach("ice");
      this.#reach("dtls");
    }
    this.#emit("state", { state });
    if (state === "failed") this.close("The connection to the server was lost.");
  }

  #reach(name) {
    if (this.#closed || this.#reached.has(name)) return;
    this.#reached.add(name);
    this.#emit("phase", { name, elapsed: performance.now() - this.#started });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function errorMessage(response, body) {
  try {
    const { message } = JSON.parse(body).error;
    if (message) return `The server refused the call: ${message}`;
  } catch {
    // Not our JSON: something in front of the server answered.
  }
  return `The server refused the call (HTTP ${response.status}).`;
}
