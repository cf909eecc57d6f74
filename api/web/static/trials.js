// The table of trials: sorted, filtered, and drawn only as far as it is scrolled.
import { element, find } from "./dom.js";
import { duration, number, plain } from "./format.js";

const CHUNK = 150;
const REDRAW_MS = 400;
const FILTERS = [
  ["all", "All", null],
  ["complete", "Complete", ["COMPLETE"]],
  ["running", "Running", ["RUNNING", "WAITING"]],
  ["pruned", "Pruned", ["PRUNED"]],
  ["failed", "Failed", ["FAIL", "INFEASIBLE"]],
];
const TONES = { COMPLETE: "good", RUNNING: "active", WAITING: "calm", PRUNED: "warn", FAIL: "bad", INFEASIBLE: "bad" };
const WORDS = { COMPLETE: "complete", RUNNING: "running", WAITING: "waiting", PRUNED: "pruned", FAIL: "failed", INFEASIBLE: "infeasible" };
const METRICS = ["bits_per_byte", "validation_loss", "train_tokens_per_second", "decode_tokens_per_second",
  "total_parameters", "non_embedding_parameters", "embedding_share", "decode_memory", "train_tokens", "train_bytes", "train_flops"];

export class TrialTable {
  #rows = new Map();
  #latest = new Map();
  #shown = CHUNK;
  #timer = null;
  #columnsKey = "";
  #columns = [];

  constructor(study, onSelect) {
    this.study = study;
    this.onSelect = onSelect;
    this.trials = new Map();
    this.filter = "all";
    this.sort = { key: "number", descending: false };
    this.selected = null;
    this.complete = false;
    this.head = find("#trials thead");
    this.body = find("#trials tbody");
    this.#listen();
  }

  take(trial) {
    if ((this.trials.get(trial.number)?.attempts ?? trial.attempts) !== trial.attempts) this.#latest.delete(trial.number);
    this.trials.set(trial.number, trial);
    this.#later();
  }

  takeValue({ number: of, step, metric, value }) {
    if (metric !== this.study.metric || (this.#latest.get(of)?.step ?? -1) > step) return;
    this.#latest.set(of, { step, value });
    this.#later();
  }

  loaded(truncated) {
    this.complete = true;
    this.truncated = truncated;
    this.draw();
  }

  select(of) {
    this.selected = this.selected === of ? null : of;
    for (const [key, row] of this.#rows) row.node.setAttribute("aria-selected", String(key === this.selected));
    this.onSelect(this.selected === null ? null : this.trials.get(this.selected));
  }

  draw() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#drawHead();
    this.#drawFilters();
    const chosen = this.#chosen();
    const nodes = chosen.slice(0, this.#shown).map((trial) => this.#row(trial));
    const same = nodes.length === this.body.children.length && nodes.every((node, at) => node === this.body.children[at]);
    if (!same) this.body.replaceChildren(...nodes);
    this.#say(chosen.length);
  }

  #say(count) {
    const line = find("#trials-empty");
    const none = this.complete ? "No trial yet." : "Loading …";
    line.textContent = this.trials.size === 0 ? none : count === 0 ? "No trial is in this state."
      : this.truncated ? `The first ${number(this.trials.size)} trials; the API lists all of them.` : "";
    line.hidden = !line.textContent;
  }

  #later() {
    this.#timer ??= setTimeout(() => this.draw(), REDRAW_MS);
  }

  #listen() {
    const scroll = find("#trials-scroll");
    scroll.addEventListener("scroll", () => {
      if (scroll.scrollTop + scroll.clientHeight < scroll.scrollHeight - 400 || this.#shown >= this.trials.size) return;
      this.#shown += CHUNK;
      this.draw();
    });
    this.head.addEventListener("click", (event) => {
      const key = event.target.closest("button")?.dataset.key;
      if (!key) return;
      this.sort = { key, descending: this.sort.key === key && !this.sort.descending };
      this.#columnsKey = "";
      this.draw();
    });
    this.body.addEventListener("click", (event) => this.#pick(event));
    this.body.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") this.#pick(event);
    });
    find("#trial-filter").addEventListener("click", (event) => {
      const chosen = event.target.closest("button")?.dataset.filter;
      if (!chosen) return;
      this.filter = chosen;
      this.#shown = CHUNK;
      this.draw();
    });
  }

  #pick(event) {
    const row = event.target.closest("tr");
    if (!row || window.getSelection().toString()) return;
    event.preventDefault();
    this.select(Number(row.dataset.number));
  }

  #chosen() {
    const states = FILTERS.find(([name]) => name === this.filter)[2];
    const chosen = [...this.trials.values()].filter((trial) => states === null || states.includes(trial.state));
    const value = (trial) => this.#value(trial, this.sort.key);
    const sign = this.sort.descending ? -1 : 1;
    return chosen.sort((a, b) => compare(value(a), value(b), sign) || a.number - b.number);
  }

  #value(trial, key) {
    if (key === "number") return trial.number;
    if (key === "state") return WORDS[trial.state];
    if (key === "time") return seconds(trial);
    const [kind, name] = key.split(":");
    return trial[kind][name];
  }

  /** Columns: the parameters in the order of the spec, then the metrics that occur, the objective first. */
  #drawHead() {
    const parameters = new Set(this.study.parameters);
    const metrics = new Set([this.study.metric]);
    for (const trial of this.trials.values()) {
      Object.keys(trial.parameters).forEach((name) => parameters.add(name));
      Object.keys(trial.metrics).forEach((name) => metrics.add(name));
    }
    const known = METRICS.filter((name) => metrics.has(name) && name !== this.study.metric);
    const key = JSON.stringify([[...parameters], known, this.sort]);
    if (key === this.#columnsKey) return;
    this.#columnsKey = key;
    this.#columns = [
      { key: "number", title: "#" }, { key: "state", title: "State", text: true },
      { key: `metrics:${this.study.metric}`, title: plain(this.study.metric) },
      ...[...parameters].map((name) => ({ key: `parameters:${name}`, title: plain(name) })),
      ...known.map((name) => ({ key: `metrics:${name}`, title: plain(name) })),
      { key: "time", title: "Time" },
    ];
    this.#rows.clear();
    this.head.replaceChildren(element("tr", {}, ...this.#columns.map((column) => this.#heading(column))));
  }

  #heading({ key, title, text }) {
    const sorted = this.sort.key === key;
    const order = sorted ? (this.sort.descending ? "descending" : "ascending") : "none";
    const button = element("button", { type: "button", "data-key": key }, title);
    return element("th", { scope: "col", "aria-sort": order, class: text ? "" : "num" }, button);
  }

  #drawFilters() {
    const states = [...this.trials.values()].map((trial) => trial.state);
    const items = FILTERS.map(([name, label, of]) => [name, label, of === null ? states.length : states.filter((state) => of.includes(state)).length]);
    const key = JSON.stringify([items, this.filter]);
    if (key === this.filterKey) return;
    this.filterKey = key;
    const group = find("#trial-filter");
    const buttons = items.filter(([name, , count]) => count > 0 || name === "all" || name === this.filter)
      .map(([name, label, count]) => element("button", { type: "button", "data-filter": name, "aria-pressed": String(name === this.filter) }, `${label} ${number(count)}`));
    const focused = group.contains(document.activeElement);
    group.replaceChildren(...buttons);
    if (focused) find('[aria-pressed="true"]', group)?.focus();
  }

  #row(trial) {
    const latest = this.#latest.get(trial.number);
    const known = this.#rows.get(trial.number);
    if (known && known.trial === trial && known.latest === latest) return known.node;
    const node = known?.node ?? element("tr", { "data-number": trial.number, tabindex: 0 });
    node.setAttribute("aria-selected", String(trial.number === this.selected));
    node.dataset.state = trial.state;
    node.replaceChildren(...this.#cells(trial, latest));
    this.#rows.set(trial.number, { node, trial, latest });
    return node;
  }

  #cells(trial, latest) {
    const reason = trial.reason && ["PRUNED", "FAIL", "INFEASIBLE"].includes(trial.state) ? trial.reason : null;
    return this.#columns.map(({ key, text }) => {
      if (key === "state") return stateCell(trial, reason);
      if (key === `metrics:${this.study.metric}` && trial.state === "RUNNING" && latest) {
        return element("td", { class: "num objective interim", title: `at step ${latest.step}` }, number(latest.value));
      }
      const value = this.#value(trial, key);
      const shown = key === "time" ? (value === undefined ? "" : duration(value)) : value === undefined ? "" : number(value);
      const main = key === `metrics:${this.study.metric}` ? " objective" : "";
      return element("td", { class: text ? "" : `num${main}` }, shown);
    });
  }
}

function stateCell(trial, reason) {
  const badge = element("span", { class: `badge ${TONES[trial.state]}` }, WORDS[trial.state]);
  const again = trial.attempts > 1 ? element("span", { class: "muted small", title: "attempts" }, ` ×${trial.attempts}`) : null;
  const why = reason ? element("span", { class: "reason small", title: reason }, reason) : null;
  return element("td", { class: "state-cell" }, badge, again, why);
}

function seconds(trial) {
  if (!trial.started_at || !trial.finished_at) return undefined;
  const spent = (Date.parse(trial.finished_at) - Date.parse(trial.started_at)) / 1000;
  return spent > 0 ? spent : undefined;
}

/** What is missing comes last, whichever way is sorted. */
function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
}
