// A line plot of the last minute on a canvas, in the colours of the style sheet.

const SPAN = 60_000;

// The time axis: age in milliseconds, label, which end of the label is at the tick.
const TICKS = [
  [SPAN, "60 s ago", "left"],
  [SPAN / 2, "30 s", "center"],
  [0, "now", "right"],
];

export class Plot {
  #canvas;
  #points = [];
  #unit;
  #floor;

  /** `floor` is the smallest full scale, so that a quiet line is drawn as one. */
  constructor(canvas, unit, floor) {
    this.#canvas = canvas;
    this.#unit = unit;
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

    const left = 48;
    const right = width - 2;
    const bottom = height - 22;
    const x = (age) => right - (age / SPAN) * (right - left);
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
      paint.fillText(`${value} ${this.#unit}`, left - 6, row);
    }
    for (const [age, label, align] of TICKS) {
      const column = Math.round(x(age)) + (age ? 0.5 : -0.5);
      paint.beginPath();
      paint.moveTo(column, bottom);
      paint.lineTo(column, bottom + 5);
      paint.stroke();
      paint.textAlign = align;
      paint.fillText(label, column, bottom + 14);
    }
    if (!this.#points.length) return;

    const end = this.#points.at(-1).time;
    paint.strokeStyle = style.color;
    paint.lineWidth = 2;
    paint.lineJoin = "round";
    paint.beginPath();
    let drawing = false;
    for (const { time, value } of this.#points) {
      if (value !== null) {
        if (drawing) paint.lineTo(x(end - time), y(value));
        else paint.moveTo(x(end - time), y(value));
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
