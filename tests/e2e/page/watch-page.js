// Opens the demonstration's page in a frame, uses it as a person would and watches.

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * job: {path, seconds, converse}. With `converse` the first answer is interrupted by voice and the
 * second one by the button, and both are waited for. The page's problems are collected by watcher.js,
 * in the frame.
 */
export async function watch(job, tell) {
  const frame = document.createElement("iframe");
  frame.src = job.path;
  frame.width = 1000;
  frame.height = 800;
  document.body.append(frame);
  const text = (id) => frame.contentDocument.getElementById(id).textContent;
  const state = () => frame.contentDocument?.documentElement.dataset.state;
  const until = async (wanted, seconds) => {
    for (let waited = 0; waited < seconds && !wanted.includes(state()); waited += 0.1) await sleep(0.1);
    return state();
  };
  try {
    const report = { state: await until(["connected", "failed"], 15) };
    await tell("called");
    const press = (id) => frame.contentDocument.getElementById(id).click();
    const seen = async (holds) => {
      for (let waited = 0; waited < 15 && !holds(); waited += 0.1) await sleep(0.1);
    };
    if (job.converse) {
      const answers = () => [...frame.contentDocument.querySelectorAll("#turns .answer output")];
      for (const [number, button] of [[1, "say"], [2, "interrupt"]]) {
        // The answer is heard: its row tells how long it took.
        await seen(() => answers()[number - 1]?.textContent.startsWith("after"));
        await sleep(0.5);
        press(button);
        await seen(() => text("interruptions-value") === `${number}`);
      }
    }
    await sleep(job.seconds);
    report.turns = [...frame.contentDocument.querySelectorAll("#turns li")].map((row) =>
      [...row.children].map((cell) => cell.textContent),
    );
    report.latency = text("latency-value");
    report.interruptions = text("interruptions-value");
    const outputs = frame.contentDocument.querySelectorAll("#phases output");
    report.phases = [...outputs].map((output) => output.textContent);
    report.error = text("error");
    report.status = text("status");
    report.remote = text("detail-remote");
    report.packets = text("detail-packets").split(" / ").map(Number);
    report.levels = ["meter-out", "meter-in"].map((id) =>
      Number(frame.contentDocument.getElementById(id).getAttribute("aria-valuenow")),
    );
    report.rtt = text("rtt-value");
    if (state() === "connected") {
      frame.contentDocument.getElementById("call").click();
      report.after = await until(["idle", "failed"], 5);
      // Time to tell the server; without its frame the page would be gone at once.
      await sleep(0.5);
    }
    report.problems = frame.contentWindow.problems;
    return report;
  } finally {
    frame.remove();
  }
}
