// Opens the demonstration's page in a frame, uses it as a person would and watches.

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** job: {path, seconds}. The page's problems are collected by watcher.js, in the frame. */
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
    await sleep(job.seconds);
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
