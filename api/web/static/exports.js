// The recipe that is chosen, asking for it as an export, and the exports with their progress.
import { get, post } from "./api.js";
import { element, find, findAll } from "./dom.js";
import { count, number } from "./format.js";

const POLL_MS = 1500;
const PREVIEW_MS = 350;
const TONES = { PENDING: "calm", RUNNING: "active", SUCCEEDED: "good", FAILED: "bad" };
const WORDS = { PENDING: "waits for a worker", RUNNING: "being written", SUCCEEDED: "ready", FAILED: "failed" };
const METHODS = { training: "trained some steps with", loading: "loaded with", schema: "compared with" };
const SOURCE_TONES = { formula: "active", trial: "good", default: "calm", target: "warn", derived: "calm" };

export class Exports {
  #timer = null;
  #asked = 0;

  constructor(studyId, hasBest) {
    this.hasBest = hasBest;
    this.path = `/v1/studies/${studyId}`;
    this.form = find("#export-form");
    if (!this.form) return;
    this.form.addEventListener("input", () => this.changed());
    this.form.addEventListener("submit", (event) => this.#ask(event));
    for (const item of findAll("#export-list [data-export]")) {
      this.#show(item, { ...item.dataset, result: JSON.parse(item.dataset.result) });
    }
    this.preview();
  }

  changed() {
    const source = find("#export-source").value;
    for (const field of findAll("[data-for]", this.form)) field.hidden = field.dataset.for !== source;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.preview(), PREVIEW_MS);
  }

  async preview() {
    if (!this.form || (find("#export-source").value === "best" && !this.hasBest())) return;
    const asked = ++this.#asked;
    try {
      const recipe = await get(`${this.path}/recipe?${new URLSearchParams(wanted())}`);
      if (asked === this.#asked) this.#recipe(recipe);
    } catch (error) {
      if (asked === this.#asked) this.#none(error.message);
    }
  }

  #recipe(recipe) {
    find("#recipe-empty").hidden = true;
    find("#recipe").replaceChildren(...recipe.fields.map(fieldRow));
    find("#recipe-warnings").replaceChildren(...recipe.warnings.map((warning) => element("li", {}, warning)));
  }

  #none(said) {
    find("#recipe").replaceChildren();
    find("#recipe-warnings").replaceChildren();
    const line = find("#recipe-empty");
    line.textContent = said;
    line.hidden = false;
  }

  async #ask(event) {
    event.preventDefault();
    const error = find("#export-error");
    error.hidden = true;
    const button = find("button[type=submit]", this.form);
    button.disabled = true;
    try {
      const made = await post(`${this.path}/exports`, { ...wanted(), format: find("#export-format").value });
      const item = element("li");
      find("#export-list").prepend(item);
      find("#export-none").hidden = true;
      this.#show(item, { export: made.id, operation: made.operation_id, state: made.state, format: made.format, request: JSON.stringify(made.request) });
    } catch (refused) {
      error.textContent = refused.message;
      error.hidden = false;
    } finally {
      button.disabled = false;
    }
  }

  #show(item, { export: id, operation, state, format, request, error, result }) {
    const link = state === "SUCCEEDED"
      ? element("a", { class: "button", href: `${this.path}/exports/${id}/archive`, download: true }, "Download") : null;
    const said = error ? element("p", { class: "small notice bad" }, error) : null;
    item.replaceChildren(
      element("div", { class: "export-name" }, element("b", {}, `${format} `), described(JSON.parse(request)),
        element("span", { class: "muted small" }, ` export ${id}`)),
      element("span", { class: `badge ${TONES[state]}`, role: "status" }, WORDS[state]), link ?? "", said ?? "",
      result?.smoke_test ? tried(result) : "",
    );
    if (state === "PENDING" || state === "RUNNING") {
      setTimeout(() => this.#follow(item, { export: id, operation, state, format, request }), POLL_MS);
    } else if (state === "FAILED" && !error) this.#follow(item, { export: id, operation, state, format, request });
  }

  async #follow(item, shown) {
    try {
      const { state, error, result } = await get(`/v1/operations/${shown.operation}`);
      this.#show(item, { ...shown, state, result, error: state === "FAILED" ? error ?? "no reason was given" : null });
    } catch {
      setTimeout(() => this.#follow(item, shown), 2 * POLL_MS);
    }
  }
}

function wanted() {
  const source = find("#export-source").value;
  if (source === "best") return { trial: "best" };
  if (source === "trial") return { trial: Number(find("#export-trial").value) };
  return { total_parameters: whole("#export-size"), tokens: whole("#export-tokens") };
}

function whole(selector) {
  const field = find(selector);
  const value = count(field.value);
  if (value === null) throw new Error(`${field.labels[0].textContent}: give a whole number, e.g. 10M or 2000000.`);
  return value;
}

function described(request) {
  if (request.total_parameters) return `${number(request.total_parameters)} parameters, ${number(request.tokens)} tokens`;
  return typeof request.trial === "number" ? `trial ${request.trial}` : "best trial";
}

function tried({ smoke_test: test, differences }) {
  const lines = [...test.done, ...test.left_out.map((line) => `Not tried: ${line}`), ...differences.map((line) => `Otherwise there: ${line}`)];
  return element("details", { class: "small export-tried" },
    element("summary", { class: "muted" }, `${METHODS[test.method]} ${test.software}`),
    element("ul", {}, ...lines.map((line) => element("li", {}, line))));
}

function fieldRow({ name, value, source, reference, note }) {
  const why = element("span", { class: "muted small block" }, note ? `${reference}; ${note}` : reference);
  return element("tr", {}, element("th", { scope: "row" }, element("code", {}, name)),
    element("td", { class: "value" }, number(value)),
    element("td", {}, element("span", { class: `badge plain ${SOURCE_TONES[source]}` }, source), why));
}
