// The events of a study: reconnects from where it was, rests while the page is hidden, and says how it is.
import { get } from "./api.js";
import { find, setText } from "./dom.js";

const KINDS = ["study", "trial", "value", "formulas"];
const RETRY_MS = 3000;
const WORDS = { live: "Live", lost: "Connection lost, trying again …", idle: "" };

export class Live {
  #source = null;
  #retry = null;
  #ended = false;

  constructor(studyId, revision, handlers) {
    this.studyId = studyId;
    this.revision = revision;
    this.handlers = handlers;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close("idle") : this.open()));
  }

  open() {
    if (this.#source || this.#ended || document.hidden) return;
    clearTimeout(this.#retry);
    const source = new EventSource(`/v1/studies/${this.studyId}/events?last_event_id=${this.revision}`);
    this.#source = source;
    source.addEventListener("open", () => show("live"));
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) this.revision = Number(event.lastEventId);
        this.handlers[kind]?.(JSON.parse(event.data));
      });
    }
    source.addEventListener("end", (event) => {
      this.#ended = true;
      this.#close("idle");
      this.handlers.end?.(JSON.parse(event.data));
    });
    source.addEventListener("error", () => this.#lost());
  }

  // A new source each time: a browser gives up by itself after an answer that is no stream.
  #lost() {
    this.#close("lost");
    this.#retry = setTimeout(() => this.#again(), RETRY_MS);
  }

  // A stream does not say why it was refused; a request does, and leads to the log-in where that is the reason.
  async #again() {
    await get(`/v1/studies/${this.studyId}`).catch(() => null);
    this.open();
  }

  #close(status) {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    show(status);
  }
}

function show(status) {
  const node = find("#connection");
  node.dataset.status = status;
  setText(node, WORDS[status]);
}
