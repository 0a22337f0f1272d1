// One call: plays a known signal, records what comes back, says what the browser knows.

const RATE = 48000;

// Rests between being connected and the signal, and between its end and the last sample
// recorded, seconds: the jitter buffer finds its depth in the one, the echo ends in the other.
const LEAD = 0.6;
const TAIL = 1.0;

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * spec: {url, signal, seconds, timeout, offer: [pattern, replacement], answer: the same}.
 * The last two change the description on its way, as somebody in between would.
 */
export async function place(context, spec, tell, upload) {
  const pc = new RTCPeerConnection();
  const recorder = new AudioWorkletNode(context, "recorder");
  const recorded = collect(recorder);
  const report = { connected: false, states: [] };
  const connected = new Promise((resolve) => {
    pc.onconnectionstatechange = () => {
      report.states.push(pc.connectionState);
      if (pc.connectionState === "connected") resolve(true);
      if (pc.connectionState === "failed") resolve(false);
    };
  });
  let location = null;
  try {
    const samples = new Float32Array(await (await fetch(spec.signal)).arrayBuffer());
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: RATE });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(destination);

    const player = new Audio();
    player.muted = true;
    pc.ontrack = ({ streams }) => {
      // Chromium gives the samples of a remote stream only while an element plays it.
      player.srcObject = streams[0];
      player.play();
      context.createMediaStreamSource(streams[0]).connect(recorder);
    };
    pc.addTrack(destination.stream.getAudioTracks()[0], destination.stream);
    await pc.setLocalDescription();
    const response = await fetch(spec.url + "/v1/realtime/calls", {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: changed(pc.localDescription.sdp, spec.offer),
    });
    report.status = response.status;
    report.answer = await response.text();
    if (response.status !== 201) return report;
    location = new URL(response.headers.get("Location"), response.url);
    await pc.setRemoteDescription({ type: "answer", sdp: changed(report.answer, spec.answer) });

    report.connected = await Promise.race([connected, sleep(spec.timeout).then(() => false)]);
    if (report.connected) {
      const start = context.currentTime + LEAD;
      source.start(start);
      report.playedFrame = Math.round(start * RATE);
      await tell("connected");
      await sleep(LEAD + spec.seconds + TAIL);
    }
    report.stats = [...(await pc.getStats()).values()];
  } catch (error) {
    report.error = `${error.name}: ${error.message}`;
  } finally {
    const { frame, samples } = recorded();
    recorder.disconnect();
    report.recordedFrame = frame;
    if (location !== null) {
      const response = await fetch(location, { method: "DELETE" }).catch(() => null);
      report.deleted = response?.status;
    }
    pc.close();
    await upload(samples);
  }
  return report;
}

function changed(text, change) {
  if (!change) return text;
  const result = text.replace(new RegExp(change[0], "g"), change[1]);
  if (result === text) throw new Error(`nothing matches ${change[0]}`);
  return result;
}

/** Gives a function that ends the recording and returns it as a whole. */
function collect(recorder) {
  const blocks = [];
  recorder.port.onmessage = ({ data }) => blocks.push(data);
  return () => {
    recorder.port.onmessage = null;
    const samples = new Float32Array(blocks.reduce((sum, block) => sum + block.samples.length, 0));
    let at = 0;
    for (const block of blocks) {
      samples.set(block.samples, at);
      at += block.samples.length;
    }
    return { frame: blocks[0]?.frame ?? 0, samples };
  };
}
