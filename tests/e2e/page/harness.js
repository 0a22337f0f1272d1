// Fetches jobs from the test's server, one at a time, and reports what became of them.

import { place } from "./call.js";
import { exchange } from "./channels.js";
import { converse } from "./converse.js";
import { watch } from "./watch-page.js";

const browser = new URLSearchParams(location.search).get("browser");
const WORK = { calls: runCalls, channels: exchange, converse, page: watch };

let context = null;

async function runCalls(job, tell) {
  if (context === null) {
    context = new AudioContext({ sampleRate: 48000 });
    await context.audioWorklet.addModule("/e2e/recorder.js");
  }
  await context.resume();
  const upload = (index, samples) => post(`/e2e/samples?job=${job.id}&call=${index}`, samples.buffer);
  return Promise.all(
    job.calls.map((spec, index) =>
      place(context, spec, (name) => tell(`${name} ${index}`), (samples) => upload(index, samples)),
    ),
  );
}

function post(url, body) {
  return fetch(url, { method: "POST", body });
}

async function main() {
  for (;;) {
    const response = await fetch(`/e2e/next?browser=${browser}`);
    if (response.status !== 200) continue;
    const job = await response.json();
    let result;
    try {
      result = await WORK[job.kind](job, (name) => post(`/e2e/event?job=${job.id}`, name));
    } catch (error) {
      result = { error: `${error.name}: ${error.message}\n${error.stack}` };
    }
    await post(`/e2e/result?job=${job.id}`, JSON.stringify(result));
  }
}

main();
