// The conversation as the events of the realtime interface tell it: who spoke, for how long,
// who was interrupted, how long an answer took.

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

/** Writes turns into `list` and figures into `latency` and `interruptions`. */
export class Conversation {
  #list;
  #latency;
  #interruptions;
  #turns = new Map();
  #latencies = [];
  #interrupted = 0;

  /** Whether an answer is being made, which is over before the last of it is heard. */
  answering = false;

  constructor(list, latency, interruptions) {
    this.#list = list;
    this.#latency = latency;
    this.#interruptions = interruptions;
  }

  clear() {
    this.#list.replaceChildren();
    this.#turns.clear();
    this.#latencies = [];
    this.#interrupted = 0;
    this.answering = false;
    this.#latency.textContent = this.#interruptions.textContent = "–";
  }

  /** Takes one event of the server; `lastVoice` is when our own voice was heard last. */
  take(event, now, lastVoice) {
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        this.#begin(event.item_id, "You", now).from = event.audio_start_ms;
        break;
      case "input_audio_buffer.speech_stopped": {
        const turn = this.#turns.get(event.item_id);
        if (turn) this.#end(turn, event.audio_end_ms - turn.from);
        break;
      }
      case "conversation.item.input_audio_transcription.completed":
        this.#say(this.#turns.get(event.item_id), event.transcript);
        break;
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.#say(this.#begin(event.response_id, "Answer", now), event.delta);
        break;
      case "response.created":
      case "response.done":
        this.answering = event.type === "response.created";
        break;
      case "output_audio_buffer.started":
        this.#started(this.#begin(event.response_id, "Answer", now), now, lastVoice);
        break;
      case "output_audio_buffer.stopped": {
        const turn = this.#turns.get(event.response_id);
        if (turn) this.#end(turn, now - turn.heard);
        break;
      }
      case "output_audio_buffer.cleared": {
        const turn = this.#turns.get(event.response_id);
        if (!turn) break;
        turn.note = `interrupted after ${seconds(now - turn.heard)}`;
        this.#interrupted += 1;
        this.#interruptions.textContent = String(this.#interrupted);
        this.#end(turn, null);
        break;
      }
      case "error":
        this.#say(this.#begin(event.event_id, "Server", now), event.error.message);
        break;
    }
  }

  #begin(id, who, now) {
    const known = this.#turns.get(id);
    if (known) return known;
    const row = document.createElement("li");
    const cells = ["b", "span", "output"].map((name) => document.createElement(name));
    row.className = who.toLowerCase();
    row.append(...cells);
    const turn = { row, cells, from: 0, heard: now, note: "", text: "" };
    cells[0].textContent = who;
    cells[2].textContent = "…";
    this.#turns.set(id, turn);
    this.#list.append(row);
    row.scrollIntoView({ block: "nearest" });
    return turn;
  }

  #say(turn, text) {
    if (!turn) return;
    turn.text += text;
    turn.cells[1].textContent = turn.text;
  }

  #started(turn, now, lastVoice) {
    turn.heard = now;
    if (lastVoice === null) return;
    const latency = now - lastVoice;
    this.#latencies.push(latency);
    turn.note = `after ${latency.toFixed(0)} ms`;
    turn.cells[2].textContent = turn.note;
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    this.#latency.textContent = `${sorted[sorted.length >> 1].toFixed(0)} ms`;
  }

  #end(turn, duration) {
    const parts = [duration === null ? "" : seconds(duration), turn.note];
    turn.cells[2].textContent = parts.filter(Boolean).join(", ");
    turn.row.classList.add("over");
  }
}
