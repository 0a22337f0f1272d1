// The page: ties the controls to a call and draws what is known about it.
//
// Addresses like /?source=tone&answer=echo&auto=1 choose the source (microphone, speech, tone),
// who answers (parrot, echo), and call at once.

import { Call } from "./call.js";
import { Conversation } from "./conversation.js";
import { Meter } from "./meter.js";
import { Plot } from "./plot.js";
import { microphoneProblem, openSource } from "./sources.js";
import { StatsReader } from "./stats.js";

const PHASES = ["offer", "answer", "ice", "dtls", "media"];

// Between two readings of the statistics, milliseconds.
const INTERVAL = 500;

// How long audio may take to start, milliseconds: without a device it never does.
const AUDIO_TIMEOUT = 3000;

const element = (id) => document.getElementById(id);
const button = element("call");
const playback = element("playback");
const meters = {
  sent: new Meter(element("meter-out"), element("out-value")),
  received: new Meter(element("meter-in"), element("in-value")),
};
const plots = {
  rtt: new Plot(element("plot-rtt"), "ms", 10),
  jitter: new Plot(element("plot-jitter"), "ms", 5),
  loss: new Plot(element("plot-loss"), "%", 5),
};

const conversation = new Conversation(
  element("turns"),
  element("latency-value"),
  element("interruptions-value"),
);

let context = null;
let current = null;
let times = {};

function chosen(name) {
  return document.querySelector(`input[name=${name}]:checked`).value;
}

/** What the page is doing, for the style sheet and for programs that watch it. */
function setState(state, text) {
  document.documentElement.dataset.state = state;
  element("status").textContent = text;
  const calling = current !== null;
  button.textContent = calling ? "Hang up" : "Call";
  button.classList.toggle("danger", calling);
  element("sources").disabled = element("answers").disabled = calling;
  const connected = state === "connected";
  element("say").hidden = !(connected && current.source.say);
  element("interrupt").hidden = !(connected && current.turns);
}

function showError(message) {
  element("error").textContent = message ?? "";
  element("error").hidden = !message;
}

async function startAudio() {
  context ??= new AudioContext({ sampleRate: 48000 });
  const late = new Promise((resolve) => setTimeout(resolve, AUDIO_TIMEOUT));
  await Promise.race([context.resume(), late]);
  if (context.state !== "running") {
    throw new Error("This browser does not play audio yet: press Call, and check that it has an audio device.");
  }
}

async function start() {
  const answer = chosen("answer");
  const call = { source: null, call: null, timer: null, turns: answer !== "echo" };
  current = call;
  const gone = () => current !== call;
  showError(null);
  clear();
  setState("calling", "Calling …");
  try {
    await startAudio();
    call.source = await openSource(chosen("source"), context, call.turns);
    if (gone()) return release(call);
    const { stream } = call.source;
    meters.sent.attach(context, stream);
    call.call = new Call(stream.getAudioTracks()[0], stream, call.turns ? null : "echo");
    watch(call);
    await call.call.place();
  } catch (error) {
    if (gone()) return release(call);
    finish(call, "No call.", error.message);
  }
}

function watch(call) {
  const on = (name, handle) => call.call.addEventListener(name, ({ detail }) => handle(detail));
  const reader = new StatsReader();
  on("phase", ({ name, elapsed }) => showPhase(name, elapsed));
  on("track", ({ stream }) => {
    // Some browsers give the samples of a remote stream only while an element plays it.
    playback.srcObject = stream;
    playback.play().catch(() => {
      // Sound without a click is refused; silent playback is not.
      playback.muted = true;
      element("listen").checked = false;
      playback.play().catch(() => {});
    });
    meters.received.attach(context, stream);
  });
  on("state", ({ state }) => {
    if (current !== call) return;
    if (state === "connected") {
      const who = call.turns ? "say something, and hear it again" : "you are talking to the echo";
      setState("connected", `Connected: ${who}.`);
      call.source.say?.();
    }
    if (state === "disconnected") setState("disconnected", "Nothing arrives; waiting for the network …");
  });
  on("message", (message) => conversation.take(message, performance.now(), meters.sent.lastLoud));
  on("closed", ({ reason, status }) => {
    if (current === call) finish(call, status, reason === "hung up" ? null : reason);
  });
  call.timer = setInterval(async () => showStats(reader.read(await call.call.getStats())), INTERVAL);
}

function finish(call, text, problem) {
  current = null;
  release(call);
  setState(problem ? "failed" : "idle", text);
  showError(problem);
}

function release(call) {
  clearInterval(call.timer);
  call.call?.close();
  call.source?.stop();
  if (current !== null) return;
  playback.srcObject = null;
  meters.sent.detach();
  meters.received.detach();
}

function clear() {
  times = {};
  conversation.clear();
  for (const plot of Object.values(plots)) plot.clear();
  for (const output of document.querySelectorAll("#phases output, figcaption output, #details dd")) {
    output.textContent = "–";
  }
  for (const row of document.querySelectorAll("#phases li")) {
    row.classList.remove("reached");
    row.querySelector("i").style.width = "0";
  }
}

function showPhase(name, elapsed) {
  times[name] = elapsed;
  const total = Math.max(...Object.values(times));
  let begin = 0;
  for (const phase of PHASES) {
    if (!(phase in times)) continue;
    const row = document.querySelector(`#phases li[data-phase=${phase}]`);
    const bar = row.querySelector("i");
    // Each bar begins where the phase before it ended: a waterfall.
    bar.style.left = `${(100 * Math.min(begin, times[phase])) / total}%`;
    bar.style.width = `${(100 * Math.max(0, times[phase] - begin)) / total}%`;
    row.classList.add("reached");
    row.querySelector("output").textContent = `${times[phase].toFixed(0)} ms`;
    begin = Math.max(begin, times[phase]);
  }
}

function showStats(stats) {
  const now = performance.now();
  const text = (value, unit, digits) => (value === null ? "–" : `${value.toFixed(digits)} ${unit}`);
  element("rtt-value").textContent = text(stats.rtt, "ms", 1);
  element("jitter-value").textContent = text(stats.jitter, "ms", 1);
  element("loss-value").textContent = text(stats.loss, "%", 1);
  plots.rtt.add(now, stats.rtt);
  plots.jitter.add(now, stats.jitter);
  plots.loss.add(now, stats.loss);
  element("detail-remote").textContent = stats.remote ?? "–";
  element("detail-codec").textContent = stats.codec ?? "–";
  showBreakable(element("detail-cipher"), stats.cipher ?? "–");
  element("detail-packets").textContent = `${stats.sent} / ${stats.received}`;
}

/** Names like AEAD_AES_128_GCM may be broken after each underscore, not just anywhere. */
function showBreakable(target, text) {
  if (target.textContent === text) return;
  const parts = text.split(/(?<=[_-])/);
  target.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
}

function explainSource() {
  const microphone = chosen("source") === "microphone";
  element("source-note").textContent = microphone
    ? microphoneProblem() ?? "Wear headphones if you play what comes back: loudspeakers and a microphone howl."
    : "";
}

function draw(time) {
  meters.sent.update(time);
  meters.received.update(time);
  requestAnimationFrame(draw);
}

element("call-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (current === null) start();
  else finish(current, "The call is over.", null);
});
element("say").addEventListener("click", () => current?.source?.say());
element("interrupt").addEventListener("click", () => {
  if (conversation.answering) current?.call?.send({ type: "response.cancel" });
  current?.call?.send({ type: "output_audio_buffer.clear" });
});
element("sources").addEventListener("change", explainSource);
element("listen").addEventListener("change", (event) => {
  playback.muted = !event.target.checked;
});
addEventListener("pagehide", () => current?.call?.close());

/** Ticks the choice that the page's address asks for; what it asks for in vain, or null. */
function wished(name, wishes) {
  const wish = wishes.get(name);
  const inputs = [...document.querySelectorAll(`input[name=${name}]`)];
  const input = inputs.find((each) => each.value === wish);
  if (input) input.checked = true;
  if (input || wish === null) return null;
  return `the ${name} "${wish}", which there is not. There are: ${inputs.map((each) => each.value).join(", ")}.`;
}

const wishes = new URLSearchParams(location.search);
const inVain = wished("source", wishes) ?? wished("answer", wishes);
playback.muted = !element("listen").checked;
explainSource();
setState("idle", "Ready.");
requestAnimationFrame(draw);
if (inVain !== null) {
  setState("failed", "No call.");
  showError(`The address of this page asks for ${inVain}`);
} else if (wishes.get("auto") === "1") {
  start();
}
