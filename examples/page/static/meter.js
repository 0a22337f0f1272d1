// A level meter: the level of a stream in dB below full scale, shown as a bar.

const FLOOR = -60;

// How fast the bar falls, dB per second; it rises at once.
const FALL = 40;

// Above this somebody speaks.
const LOUD = -45;

export class Meter {
  #bar;
  #value;
  #analyser = null;
  #source = null;
  #samples = null;
  #level = FLOOR;
  #last = 0;
  #said = 0;

  /** When the stream was loud last, as `performance.now()` tells it; null: not yet. */
  lastLoud = null;

  constructor(bar, value) {
    this.#bar = bar;
    this.#value = value;
  }

  attach(context, stream) {
    this.detach();
    this.#analyser = new AnalyserNode(context, { fftSize: 1024 });
    this.#source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.#source.connect(this.#analyser);
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  detach() {
    this.#source?.disconnect();
    this.#source = this.#analyser = null;
    this.#level = FLOOR;
    this.lastLoud = null;
    this.#show(0);
  }

  /** Call once per animation frame with its time in milliseconds. */
  update(time) {
    if (!this.#analyser) return;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0);
    const level = Math.max(FLOOR, 10 * Math.log10(power / this.#samples.length + 1e-12));
    if (level > LOUD) this.lastLoud = time;
    const fall = (FALL * Math.min(time - this.#last, 1000)) / 1000;
    this.#level = Math.max(level, this.#level - fall);
    this.#last = time;
    this.#show(time);
  }

  #show(time) {
    const share = 1 - this.#level / FLOOR;
    this.#bar.firstElementChild.style.transform = `scaleX(${share.toFixed(3)})`;
    // Numbers that change sixty times a second help nobody.
    if (time && time - this.#said < 250) return;
    this.#said = time;
    const silent = this.#level <= FLOOR;
    this.#bar.setAttribute("aria-valuenow", this.#level.toFixed(0));
    this.#bar.setAttribute("aria-valuetext", silent ? "silent" : `${this.#level.toFixed(0)} decibels`);
    this.#value.textContent = silent ? "–" : `${this.#level.toFixed(0)} dB`;
  }
}
