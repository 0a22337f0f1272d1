// Passes on every sample it hears, without holes: silence is recorded as silence.

const BLOCK = 4096;

class Recorder extends AudioWorkletProcessor {
  #samples = new Float32Array(BLOCK);
  #filled = 0;

  process([[channel]]) {
    if (channel) this.#samples.set(channel, this.#filled);
    this.#filled += 128;
    if (this.#filled === BLOCK) {
      const frame = currentFrame + 128 - BLOCK;
      this.port.postMessage({ frame, samples: this.#samples }, [this.#samples.buffer]);
      this.#samples = new Float32Array(BLOCK);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
