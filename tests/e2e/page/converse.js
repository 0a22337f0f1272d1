// A conversation by the realtime interface: speaks, is answered, interrupts, hangs up.
//
// With `client: "sdk"` the unmodified browser SDK does it (its bundle is served at
// /e2e/files/sdk.js); with "plain" the few lines below do, as a page without the SDK would.

const RATE = 48000;

// Seconds to wait for an event before the conversation is given up.
const PATIENCE = 20;

// Heard audio above this is speech, below it silence, in dB of full scale.
const LOUD = -45;
const QUIET = -70;

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** What the server said, in order, and who waits for what. */
class Log {
  constructor() {
    this.events = [];
    this.waiting = [];
  }

  add(event) {
    this.events.push({ at: performance.now(), ...event });
    this.waiting = this.waiting.filter((check) => !check());
  }

  count(type) {
    return this.events.filter((event) => event.type === type).length;
  }

  /** The `number`th event of a type, the first is 1. */
  event(type, number = 1) {
    return new Promise((resolve, reject) => {
      const seen = this.events.map((event) => event.type).join(" ");
      const timer = setTimeout(
        () => reject(new Error(`no ${type} number ${number} after: ${seen}`)),
        PATIENCE * 1000,
      );
      const check = () => {
        const found = this.events.filter((event) => event.type === type)[number - 1];
        if (!found) return false;
        clearTimeout(timer);
        resolve(found);
        return true;
      };
      if (!check()) this.waiting.push(check);
    });
  }
}

/** The SDK's session, as its documentation has a page use it. */
async function withSdk(spec, stream, player, log) {
  const { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession } = globalThis.OpenAIAgentsRealtime;
  const transport = new OpenAIRealtimeWebRTC({
    mediaStream: stream,
    audioElement: player,
    baseUrl: `${spec.url}/v1/realtime/calls`,
  });
  const agent = new RealtimeAgent({ name: "parrot", instructions: "Say it again." });
  const session = new RealtimeSession(agent, { transport, model: "gpt-realtime" });
  const errors = [];
  session.on("transport_event", (event) => log.add(event));
  session.on("error", (error) => errors.push(JSON.stringify(error)));
  await session.connect({ apiKey: spec.key });
  return {
    callId: transport.callId,
    interrupt: () => session.interrupt(),
    write: (text) => session.sendMessage(text),
    close: () => session.close(),
    report: () => ({ errors, history: session.history, status: transport.status }),
  };
}

/** The same by hand. */
async function plain(spec, stream, player, log) {
  const pc = new RTCPeerConnection();
  const channel = pc.createDataChannel("oai-events");
  const send = (event) => channel.send(JSON.stringify(event));
  channel.onmessage = ({ data }) => log.add(JSON.parse(data));
  pc.ontrack = ({ streams }) => (player.srcObject = streams[0]);
  pc.addTrack(stream.getAudioTracks()[0], stream);
  await pc.setLocalDescription();
  const response = await fetch(`${spec.url}/v1/realtime/calls`, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${spec.key}` },
    body: pc.localDescription.sdp,
  });
  if (response.status !== 201) throw new Error(await response.text());
  const callId = response.headers.get("Location").split("/").pop();
  await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  await log.event("session.created");
  send({ type: "session.update", session: { type: "realtime", instructions: "Say it again." } });
  await log.event("session.updated");
  return {
    callId,
    interrupt: () => {
      send({ type: "response.cancel" });
      send({ type: "output_audio_buffer.clear" });
    },
    write: (text) => {
      const content = [{ type: "input_text", text }];
      send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
      send({ type: "response.create" });
    },
    close: () => pc.close(),
    report: () => ({ errors: [] }),
  };
}

/** Levels of what is heard, one per 10 ms or so, from now on. */
function listen(context, stream) {
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const levels = [];
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    levels.push([performance.now(), 10 * Math.log10(power + 1e-12)]);
  }, 10);
  return {
    stop: () => clearInterval(timer),
    /** Resolves with the moment of the first level for which it holds. */
    until: async (holds, what) => {
      const start = performance.now();
      while (performance.now() < start + PATIENCE * 1000) {
        const last = levels.at(-1);
        if (last && last[0] >= start && holds(last[1])) return last[0];
        await sleep(0.01);
      }
      throw new Error(`never ${what}`);
    },
    loudest: (from, to) =>
      Math.max(-120, ...levels.filter(([at]) => at >= from && at < to).map(([, level]) => level)),
  };
}

/** job: {client: "sdk" | "plain", url, key, seconds}; `seconds` of the recorded speech are said. */
export async function converse(job, tell) {
  if (job.client === "sdk" && !globalThis.OpenAIAgentsRealtime) await import("/e2e/files/sdk.js");
  const context = new AudioContext({ sampleRate: RATE });
  await context.resume();
  const encoded = await (await fetch("/e2e/files/speech.ogg")).arrayBuffer();
  const buffer = await context.decodeAudioData(encoded);
  const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  const player = new Audio();
  player.autoplay = true;
  const log = new Log();
  const times = {};
  const mark = (name) => (times[name] = performance.now());
  const say = () => {
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(microphone);
    source.start(0, 0, job.seconds);
    return new Promise((resolve) => (source.onended = resolve));
  };

  mark("start");
  const connect = job.client === "sdk" ? withSdk : plain;
  const client = await connect(job, microphone.stream, player, log);
  let ear = null;
  try {
    mark("connected");
    await tell("connected");
    while (player.srcObject === null) await sleep(0.01);
    ear = listen(context, player.srcObject);

    // A turn, and its answer.
    await say();
    mark("said");
    await log.event("output_audio_buffer.started");
    mark("answer_started");
    times.answer_heard = await ear.until((level) => level > LOUD, "heard the first answer");

    // Into the middle of it.
    await sleep(0.6);
    mark("interruption");
    const over = say();
    await log.event("output_audio_buffer.cleared");
    mark("cleared");
    times.silent = await ear.until((level) => level < QUIET, "silent after the interruption");
    // The jitter buffer may have held a little more.
    await sleep(0.3);
    const from = performance.now();
    await over;
    mark("said_again");
    times.while_interrupting = ear.loudest(from, times.said_again);

    // The answer to that, stopped by the client.
    await log.event("output_audio_buffer.started", 2);
    await ear.until((level) => level > LOUD, "heard the second answer");
    await sleep(0.4);
    client.interrupt();
    mark("interrupted");
    await log.event("output_audio_buffer.cleared", 2);
    await log.event("conversation.item.truncated", 2);
    await log.event("response.done", 2);
    times.silent_again = await ear.until((level) => level < QUIET, "silent after the stop");

    // In writing.
    client.write("Hello?");
    await log.event("response.done", 3);
  } catch (error) {
    times.error = `${error.message}`;
  } finally {
    ear?.stop();
    client.close();
  }
  const report = { ...client.report(), callId: client.callId, times, events: log.events };
  await context.close();
  return report;
}
