// Where the audio that is sent comes from. Each source gives {stream, stop()}; recorded speech
// that is said in turns has say(), too.

const SPEECH = "/media/speech.ogg";

// Seconds of it that make a turn: its first sentence.
const SENTENCE = 2.8;

/** Why the microphone cannot be used here, or null. */
export function microphoneProblem() {
  if (!window.isSecureContext) {
    return (
      "The microphone needs a secure page: open this one at https:// (start the server with --tls) " +
      "or at http://localhost. Speech and tone work anywhere."
    );
  }
  if (!navigator.mediaDevices?.getUserMedia) return "This browser offers no microphone.";
  return null;
}

/** `turns`: somebody answers, so recorded speech waits to be told to speak. */
export async function openSource(name, context, turns) {
  switch (name) {
    case "microphone":
      return openMicrophone();
    case "speech":
      return openSpeech(context, turns);
    case "tone":
      return openTone(context);
    default:
      throw new Error(`There is no source called ${name}.`);
  }
}

async function openMicrophone() {
  const problem = microphoneProblem();
  if (problem) throw new Error(problem);
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The microphone was not allowed. Allow it next to the address, then call again.",
      NotFoundError: "No microphone was found. Plug one in, or send speech or a tone.",
      NotReadableError: "The microphone is in use by another program.",
    };
    throw new Error(reasons[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
  return { stream, stop: () => stream.getTracks().forEach((track) => track.stop()) };
}

async function openSpeech(context, turns) {
  let buffer;
  try {
    const response = await fetch(SPEECH);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    buffer = await context.decodeAudioData(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`The recorded speech cannot be played: ${error.message}`);
  }
  if (!turns) {
    const node = new AudioBufferSourceNode(context, { buffer, loop: true });
    return play(context, node, node);
  }
  const mouth = new GainNode(context);
  const say = () => {
    const node = new AudioBufferSourceNode(context, { buffer });
    node.connect(mouth);
    node.start(0, 0, SENTENCE);
  };
  return { ...play(context, mouth), say };
}

function openTone(context) {
  // A swelling two-tone chord: its pauses let an ear judge the delay.
  const gain = new GainNode(context, { gain: 0.12 });
  const swell = new OscillatorNode(context, { frequency: 0.8 });
  const depth = new GainNode(context, { gain: 0.12 });
  swell.connect(depth).connect(gain.gain);
  const tones = [392, 523.25].map((frequency) => new OscillatorNode(context, { frequency }));
  tones.forEach((tone) => tone.connect(gain));
  return play(context, gain, swell, ...tones);
}

function play(context, output, ...nodes) {
  const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  output.connect(destination);
  nodes.forEach((node) => node.start());
  const stop = () => {
    nodes.forEach((node) => node.stop());
    output.disconnect();
    destination.stream.getTracks().forEach((track) => track.stop());
  };
  return { stream: destination.stream, stop };
}
