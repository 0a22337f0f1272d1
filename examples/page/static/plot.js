// A line plot of the last minute on a canvas, in the colours of the style sheet.

const SPAN = 60_000;

export class Plot {
  #canvas;
  #points = [];
  #floor;

  /** `floor` is the smallest full scale, so that a quiet line is drawn as one. */
  constructor(canvas, floor) {
    this.#canvas = canvas;
    this.#floor = floor;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.#points = [];
    this.draw();
  }

  /** `value` null leaves a gap. */
  add(time, value) {
    this.#points.push({ time, value });
    while (this.#points.length && this.#points[0].time < time - SPAN) this.#points.shift();
    this.draw();
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !height) return;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const paint = this.#canvas.getContext("2d");
    paint.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    const top = niceScale(this.#points.reduce((most, p) => Math.max(most, p.value ?? 0), this.#floor));

    const left = 34;
    const bottom = height - 4;
    const y = (value) => bottom - (value / top) * (bottom - 10);
    paint.font = "11px system-ui, sans-serif";
    paint.textAlign = "right";
    paint.textBaseline = "middle";
    paint.strokeStyle = style.getPropertyValue("--line");
    paint.fillStyle = style.getPropertyValue("--soft");
    paint.lineWidth = 1;
    for (const value of [0, top / 2, top]) {
      const row = Math.round(y(value)) + 0.5;
      paint.beginPath();
      paint.moveTo(left, row);
      paint.lineTo(width, row);
      paint.stroke();
      paint.fillText(String(value), left - 6, value ? row : row - 4);
    }
    if (!this.#points.length) return;

    const end = this.#points.at(-1).time;
    const x = (time) => width - 2 - ((end - time) / SPAN) * (width - left - 2);
    paint.strokeStyle = style.color;
    paint.lineWidth = 2;
    paint.lineJoin = "round";
    paint.beginPath();
    let drawing = false;
    for (const { time, value } of this.#points) {
      if (value !== null) {
        if (drawing) paint.lineTo(x(time), y(value));
        else paint.moveTo(x(time), y(value));
      }
      drawing = value !== null;
    }
    paint.stroke();
  }
}

/** The next of 1, 2, 5 times a power of ten. */
function niceScale(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((scale) => scale >= value * 0.999);
}
