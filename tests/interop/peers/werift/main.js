// werift behind the JSON lines of tests/interop/peer.py, on loopback only. It has no codec: its
// source sends numbered payloads that look like 20 ms of Opus and counts those that come back.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const {
  MediaStreamTrack,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  RtcpSrPacket,
  RtpHeader,
  RtpPacket,
} = require("werift");

const tell = (call, event, more) => process.stdout.write(JSON.stringify({ call, event, ...more }) + "\n");

class Call {
  constructor(number, { mode, pause }) {
    Object.assign(this, { number, mode, pause });
    this.sent = new Set();
    this.received = this.returned = 0;
    this.jumps = [];
    this.pc = new RTCPeerConnection({
      iceServers: [],
      iceUseIpv6: false,
      iceInterfaceAddresses: { udp4: "127.0.0.1" },
      iceAdditionalHostAddresses: ["127.0.0.1"],
      // It still gathers the other interfaces' addresses, which may go away during a test.
      iceFilterCandidatePair: ({ localCandidate }) => localCandidate.host === "127.0.0.1",
      codecs: { audio: [new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48000, channels: 2 })] },
    });
    this.channels = new Map();
    this.pc.onDataChannel.subscribe((channel) => this.serve(channel));
    this.track = new MediaStreamTrack({ kind: "audio" });
    this.pc.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((packet) => this.hear(packet, mode === "echo")));
    this.pc.connectionStateChange.subscribe((state) => {
      if (state === "connected") this.connected();
      tell(number, "state", { state });
    });
  }

  async offer({ channels = [] }) {
    this.pc.addTransceiver(this.track, { direction: "sendrecv" });
    for (const label of channels) this.open({ label });
    await this.pc.setLocalDescription(await this.pc.createOffer());
    tell(this.number, "description", { sdp: this.pc.localDescription.sdp });
  }

  async answer({ sdp }) {
    this.pc.addTransceiver(this.track, { direction: "sendrecv" });
    await this.pc.setRemoteDescription({ type: "offer", sdp });
    // It answers "active" even to an offerer that is (RFC 5763 section 5).
    if (sdp.includes("a=setup:active")) this.pc.getSenders()[0].dtlsTransport.role = "server";
    await this.pc.setLocalDescription(await this.pc.createAnswer());
    tell(this.number, "description", { sdp: this.pc.localDescription.sdp });
  }

  async remote({ sdp }) {
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  connected() {
    if (this.mode === "source") this.talk(this.pause || [-1, 0]);
    const [sender] = this.pc.getSenders();
    // Its sender is given receiver reports only; the blocks in sender reports are for it as well.
    sender.dtlsTransport.onRtcp.subscribe((packet) => {
      if (packet.type === RtcpSrPacket.type) sender.handleRtcpPacket(packet);
    });
    // A close_notify changes the state of the DTLS transport and no other.
    sender.dtlsTransport.onStateChange.subscribe((state) => tell(this.number, "state", { state }));
  }

  async stats() {
    const answer = { sent: this.sent.size, received: this.received, returned: this.returned, jumps: this.jumps };
    for (const entry of (await this.pc.getStats()).values()) {
      if (entry.type === "remote-inbound-rtp") answer.round_trip_time = entry.roundTripTime;
      if (entry.type === "transport") [answer.srtp, answer.cipher] = [entry.srtpCipher, entry.dtlsCipher];
    }
    tell(this.number, "stats", answer);
  }

  async close() {
    clearInterval(this.timer);
    await this.pc.close();
  }

  open({ label }) {
    const channel = this.pc.createDataChannel(label);
    channel.stateChanged.subscribe((state) => state === "open" && channel.send("hello"));
    this.serve(channel);
  }

  say({ label, size }) {
    this.channels.get(label).send(Buffer.from(Array.from({ length: size }, (_, n) => n % 251)));
  }

  shut({ label }) {
    this.channels.get(label).close();
  }

  serve(channel) {
    this.channels.set(channel.label, channel);
    const report = (state) => {
      if (state === "open") tell(this.number, "channel", { label: channel.label, state });
      if (state === "closed") tell(this.number, "channel", { label: channel.label, state: "close" });
    };
    channel.stateChanged.subscribe(report);
    // What it is given to send without a byte leaves a hole in the sequence and nothing else.
    const name = (data) => (typeof data === "string" ? "empty text" : "empty bytes");
    channel.onMessage.subscribe((data) => channel.send(data.length ? data : name(data)));
    report(channel.readyState);
  }

  // 20 ms payloads, with a hole of pause = [first frame, frames].
  talk([hole, frames]) {
    const start = Date.now();
    let next = 0;
    let sequenceNumber = 0;
    this.timer = setInterval(() => {
      for (; next * 20 <= Date.now() - start; next++) {
        if (next >= hole && next < hole + frames) continue;
        // 0xF8: one frame of 20 ms, CELT, fullband, mono.
        const payload = Buffer.concat([Buffer.from([0xf8]), Buffer.from(`frame ${next}`)]);
        this.sent.add(payload.toString("latin1"));
        const marker = next === 0 || next === hole + frames;
        const header = new RtpHeader({ sequenceNumber: sequenceNumber++, timestamp: next * 960, marker });
        this.track.writeRtp(new RtpPacket(header, payload));
      }
    }, 5);
  }

  hear(packet, echo) {
    this.received += 1;
    if (this.sent.has(packet.payload.toString("latin1"))) this.returned += 1;
    const { sequenceNumber, timestamp, marker } = packet.header;
    const step = (timestamp - this.last) | 0;
    if (this.last !== undefined && step !== 960) this.jumps.push(step);
    this.last = timestamp;
    if (echo) this.track.writeRtp(new RtpPacket(new RtpHeader({ sequenceNumber, timestamp, marker }), packet.payload));
  }
}

// `require.resolve` of its package.json is not among its exports.
const folder = path.join(__dirname, "node_modules", "werift", "package.json");
tell(0, "ready", { name: `werift ${JSON.parse(fs.readFileSync(folder)).version}` });
const calls = new Map();
readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const command = JSON.parse(line);
  if (!calls.has(command.call)) calls.set(command.call, new Call(command.call, command));
  try {
    await calls.get(command.call)[command.do](command);
  } catch (error) {
    tell(command.call, "error", { detail: String(error.stack || error) });
  }
});
