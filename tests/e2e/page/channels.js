// One call with data channels against the library itself. The other side is in charge: every
// message is returned on the channel where it came, except for the words below.

const LIMIT = 30_000;

/**
 * job: {offer} with the other side's offer, or without: then this side offers.
 *
 * This side opens the channel "theirs" with its offer, or once "ours" is open, and says "hello"
 * there. On "say N" it sends N bytes, on "shut" it closes "theirs", on "bye" it reports.
 */
export async function exchange(job) {
  const pc = new RTCPeerConnection();
  const report = { opened: [], closed: [], first: "" };
  pc.addTransceiver("audio");

  let finish;
  const finished = new Promise((resolve, reject) => {
    finish = resolve;
    setTimeout(() => reject(new Error(`not told to finish: ${JSON.stringify(report)}`)), LIMIT);
  });

  let theirs = null;
  const open = () => {
    theirs = serve(pc.createDataChannel("theirs"));
    theirs.addEventListener("open", () => theirs.send("hello"));
  };

  function serve(channel) {
    channel.binaryType = "arraybuffer";
    const opened = () => report.opened.push(channel.label);
    if (channel.readyState === "open") opened();
    else channel.addEventListener("open", opened);
    channel.addEventListener("close", () => report.closed.push(channel.label));
    channel.addEventListener("message", ({ data }) => {
      const [word, size] = typeof data === "string" ? data.split(" ") : [];
      if (word === "say") channel.send(Uint8Array.from({ length: Number(size) }, (_, n) => n % 251));
      else if (word === "shut") theirs.close();
      else if (word === "bye") finish();
      else channel.send(data);
    });
    return channel;
  }

  pc.addEventListener("datachannel", ({ channel }) => {
    serve(channel);
    if (theirs === null) open();
  });

  if (job.offer) {
    await pc.setRemoteDescription({ type: "offer", sdp: job.offer });
  } else {
    open();
  }
  await pc.setLocalDescription();
  await gathered(pc);
  report.description = pc.localDescription.sdp;
  const response = await fetch("/description", { method: "POST", body: report.description });
  if (!job.offer) await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  await finished;
  pc.close();
  return report;
}

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return null;
  return new Promise((resolve) => {
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState === "complete") resolve();
    });
  });
}
