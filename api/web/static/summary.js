// Progress and best trial at the head of the page.
import { find, findAll, element, setText } from "./dom.js";
import { duration, number, plain } from "./format.js";

const ENDED = ["COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"];
const TERMINAL = ["COMPLETED", "CANCELLED", "FAILED"];
const TONES = {
  QUEUED: "calm", RUNNING: "active", PAUSED: "warn", STOPPING: "active",
  COMPLETED: "good", CANCELLED: "calm", FAILED: "bad",
};

export class Summary {
  constructor(study) {
    this.study = { ...study };
    this.trials = null;
    setInterval(() => this.#times(), 1000);
    this.#times();
  }

  get isActive() {
    return !TERMINAL.includes(this.study.state);
  }

  /** An event of the study. */
  take(event) {
    Object.assign(this.study, {
      state: event.state, started_at: event.started_at, finished_at: event.finished_at, counts: event.trial_counts,
    });
    if (!this.isActive) this.study.asked = this.#ended();
    this.#state();
    this.#progress();
    const error = find("#study-error");
    error.hidden = !event.error;
    setText(error, event.error ?? "");
    this.#times();
  }

  showTrials(trials) {
    this.trials = trials;
    this.#best();
    this.#times();
  }

  #ended() {
    return ENDED.reduce((sum, state) => sum + (this.study.counts[state] ?? 0), 0);
  }

  #state() {
    const badge = find("#state");
    badge.className = `badge ${TONES[this.study.state]}`;
    setText(badge, this.study.state.toLowerCase());
    for (const button of findAll("#actions [data-states]")) {
      button.hidden = !button.dataset.states.split(" ").includes(this.study.state);
    }
  }

  #progress() {
    const { counts, asked } = this.study;
    const ended = this.#ended();
    setText(find("#ended"), number(ended));
    setText(find("#asked"), number(asked));
    for (const item of findAll("#counts [data-count]")) {
      const count = counts[item.dataset.count] ?? 0;
      item.hidden = count === 0;
      setText(find("b", item), number(count));
    }
    const widths = {
      complete: counts.COMPLETE ?? 0, pruned: counts.PRUNED ?? 0,
      failed: (counts.FAIL ?? 0) + (counts.INFEASIBLE ?? 0), running: counts.RUNNING ?? 0,
    };
    const total = Math.max(asked, ended, 1);
    let x = 0;
    for (const [state, count] of Object.entries(widths)) {
      const part = find(`#progress [data-state="${state}"]`);
      part.setAttribute("x", String((100 * x) / total));
      part.setAttribute("width", String((100 * count) / total));
      x += count;
    }
    find("#progress").setAttribute("aria-label", `${ended} of ${asked} trials have ended`);
    if (this.isActive) document.title = `${ended}/${asked} · ${this.study.name} · Formulary`;
    else document.title = `${this.study.name} · Formulary`;
  }

  #best() {
    const { metric, direction, objectives } = this.study;
    if (objectives.length > 1) return;
    const sign = direction === "maximize" ? -1 : 1;
    const replicated = [...this.trials.values()].some((trial) => trial.attributes.origin === "replicate");
    if (replicated && !this.isActive) return; // the server draws the means on fresh seeds
    let best = null;
    for (const trial of this.trials.values()) {
      if (trial.attributes.origin === "replicate") continue;
      const value = trial.state === "COMPLETE" ? trial.metrics[metric] : undefined;
      if (value !== undefined && (best === null || sign * value < sign * best.metrics[metric])) best = trial;
    }
    if (best === null) return;
    setText(find("#best-value"), number(best.metrics[metric]));
    setText(find("#best-number"), `trial ${best.number}`);
    const chips = Object.entries(best.parameters).map(([name, value]) =>
      element("div", {}, element("dt", {}, plain(name)), element("dd", {}, number(value))));
    find("#best-parameters").replaceChildren(...chips);
  }

  #times() {
    if (!find("#elapsed")) return;
    const { started_at: start, finished_at: end } = this.study;
    if (start) {
      const until = end ? Date.parse(end) : this.isActive ? Date.now() : Date.parse(start);
      setText(find("#elapsed"), duration((until - Date.parse(start)) / 1000));
    }
    const pace = this.#pace();
    setText(find("#pace"), pace === null ? "–" : duration(pace));
    setText(find("#rest"), this.#rest(pace));
  }

  /** Seconds that a trial takes, on average over those that were run; null when none was. */
  #pace() {
    const times = [...(this.trials?.values() ?? [])]
      .filter((trial) => ENDED.includes(trial.state) && trial.started_at && trial.finished_at)
      .map((trial) => (Date.parse(trial.finished_at) - Date.parse(trial.started_at)) / 1000)
      .filter((seconds) => seconds > 0);
    return times.length ? times.reduce((sum, seconds) => sum + seconds, 0) / times.length : null;
  }

  #rest(pace) {
    if (!this.isActive) return "ended";
    if (this.study.state === "PAUSED") return "paused";
    if (pace === null) return "–";
    const running = [...this.trials.values()].filter((trial) => trial.state === "RUNNING" && trial.started_at);
    const done = running.reduce((sum, trial) => {
      const spent = (Date.now() - Date.parse(trial.started_at)) / 1000;
      return sum + Math.min(spent / pace, 1);
    }, 0);
    const left = Math.max(this.study.asked - this.#ended() - done, 0);
    return duration((left * pace) / Math.max(this.study.parallel, 1));
  }
}
