// libwebrtc in Node behind the JSON lines of tests/interop/peer.py. Its source is a tone, its
// echo plays what it hears.
"use strict";

const readline = require("node:readline");
const { RTCPeerConnection, MediaStream, nonstandard } = require("@roamhq/wrtc");
const { version } = require("@roamhq/wrtc/package.json");

const RATE = 48000;
// Samples in 10 ms, the size of a block of audio here.
const BLOCK = 480;
const FREQUENCY = 440;

const tell = (call, event, more) => process.stdout.write(JSON.stringify({ call, event, ...more }) + "\n");

class Call {
  constructor(number, { mode }) {
    this.number = number;
    this.mode = mode;
    this.heard = [];
    this.pc = new RTCPeerConnection({ iceServers: [] });
    this.channels = new Map();
    this.pc.ondatachannel = ({ channel }) => this.serve(channel);
    this.source = new nonstandard.RTCAudioSource();
    this.track = this.source.createTrack();
    this.pc.addTrack(this.track, new MediaStream([this.track]));
    this.pc.ontrack = ({ track }) => this.listen(track);
    this.pc.onconnectionstatechange = () => {
      if (this.pc.connectionState === "connected") this.connected();
      tell(number, "state", { state: this.pc.connectionState });
    };
  }

  connected() {
    if (this.watch) return; // it says so several times
    if (this.mode === "source") this.talk();
    // A close_notify changes the state of the DTLS transport and no other, and not always with an event.
    const [{ transport }] = this.pc.getSenders();
    this.watch = setInterval(() => {
      if (transport.state !== "closed") return;
      clearInterval(this.watch);
      tell(this.number, "state", { state: "closed" });
    }, 50);
  }

  async describe(description) {
    await this.pc.setLocalDescription(description);
    while (this.pc.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 10));
    tell(this.number, "description", { sdp: this.pc.localDescription.sdp });
  }

  async offer({ channels = [] }) {
    for (const label of channels) this.open({ label });
    await this.describe(await this.pc.createOffer());
  }

  async answer({ sdp }) {
    await this.pc.setRemoteDescription({ type: "offer", sdp });
    await this.describe(await this.pc.createAnswer());
  }

  async remote({ sdp }) {
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  async stats() {
    const answer = { sent: 0, received: 0, frequency: frequency(this.heard) };
    for (const entry of (await this.pc.getStats()).values()) {
      if (entry.type === "outbound-rtp") answer.sent = entry.packetsSent;
      if (entry.type === "inbound-rtp") answer.received = entry.packetsReceived;
      if (entry.type === "remote-inbound-rtp") answer.round_trip_time = entry.roundTripTime;
      if (entry.type === "transport") [answer.srtp, answer.cipher] = [entry.srtpCipher, entry.dtlsCipher];
    }
    tell(this.number, "stats", answer);
  }

  async close() {
    clearInterval(this.timer);
    clearInterval(this.watch);
    if (this.sink) this.sink.stop();
    this.track.stop();
    this.pc.close();
  }

  open({ label }) {
    const channel = this.pc.createDataChannel(label);
    this.serve(channel, () => channel.send("hello"));
  }

  say({ label, size }) {
    this.channels.get(label).send(Uint8Array.from({ length: size }, (_, n) => n % 251));
  }

  shut({ label }) {
    this.channels.get(label).close();
  }

  serve(channel, greet = () => {}) {
    this.channels.set(channel.label, channel);
    channel.binaryType = "arraybuffer";
    const report = (state) => tell(this.number, "channel", { label: channel.label, state });
    const opened = () => {
      report("open");
      greet();
    };
    channel.addEventListener("close", () => report("close"));
    channel.addEventListener("message", ({ data }) => channel.send(data));
    if (channel.readyState === "open") opened();
    else channel.addEventListener("open", opened);
  }

  talk() {
    const start = Date.now();
    let next = 0;
    this.timer = setInterval(() => {
      for (; next * 10 <= Date.now() - start; next++) {
        const samples = new Int16Array(BLOCK);
        for (let n = 0; n < BLOCK; n++) {
          samples[n] = 12000 * Math.sin((2 * Math.PI * FREQUENCY * (next * BLOCK + n)) / RATE);
        }
        this.play(samples);
      }
    }, 5);
  }

  play(samples) {
    this.source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: BLOCK });
  }

  listen(track) {
    this.sink = new nonstandard.RTCAudioSink(track);
    this.sink.ondata = ({ samples, sampleRate, channelCount }) => {
      if (sampleRate !== RATE) return; // silence before the first packet comes at another rate
      const mono = samples.filter((_, index) => index % channelCount === 0);
      this.heard.push(...mono);
      // The last two seconds.
      if (this.heard.length > 2 * RATE) this.heard.splice(0, this.heard.length - 2 * RATE);
      if (this.mode === "echo") this.play(mono);
    };
  }
}

// As `frequency` in tests/interop/tone.py.
function frequency(heard) {
  const loud = heard.slice(heard.length >> 1);
  const threshold = loud.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) / 10;
  let low = false;
  const crossings = [];
  loud.forEach((sample, index) => {
    if (sample < -threshold) low = true;
    else if (low && sample > threshold) {
      low = false;
      crossings.push(index);
    }
  });
  const periods = crossings.slice(1).map((index, n) => index - crossings[n]).sort((a, b) => a - b);
  return periods.length ? RATE / periods[periods.length >> 1] : null;
}

tell(0, "ready", { name: `wrtc ${version}` });
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
