// The page of a study: what the server sent, kept up to date by the study's events.
import "./copy.js";
import { installActions } from "./actions.js";
import { get } from "./api.js";
import { element, find } from "./dom.js";
import { Exports } from "./exports.js";
import { Live } from "./live.js";
import { plotsIn } from "./plots.js";
import { Summary } from "./summary.js";
import { TrialTable } from "./trials.js";

const PAGE_SIZE = 1000;
const MOST_TRIALS = 5000;
const FRONT_PAUSE_MS = 2500;
const VALIDATION_PAUSE_MS = 15000;

const study = JSON.parse(find("#study-data").textContent);
const summary = new Summary(study);
const table = new TrialTable(study, highlight);
const exports = new Exports(study.id, () => (summary.study.counts.COMPLETE ?? 0) > 0);
const plots = plotsIn(document, study.id, study.plotly);
const curves = plots.find((plot) => plot.name === "learning-curves");
const ofTrials = plots.filter((plot) => !/^(formula|validation)-/.test(plot.name));

let frontTimer = null;

installActions({ name: study.name, path: `/v1/studies/${study.id}`, home: "/" });
for (const plot of ofTrials) plot.onPoint((number) => table.trials.has(number) && table.select(number));

find("[data-axes]")?.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-scale]");
  if (!chosen) return;
  for (const button of chosen.parentElement.children) button.setAttribute("aria-pressed", String(button === chosen));
  curves.setScale(chosen.dataset.scale);
});

const live = new Live(study.id, study.revision, {
  study: (event) => {
    const changed = event.state !== summary.study.state;
    const hadBest = exports.hasBest();
    summary.take(event);
    if (changed) refresh(["notices", "dashboard"]);
    if (changed || hadBest !== exports.hasBest()) exports.preview();
  },
  trial: (trial) => {
    table.take(trial);
    summary.showTrials(table.trials);
    for (const plot of ofTrials) plot.touch();
    if (trial.state === "COMPLETE" && study.objectives.length > 1) refreshFront();
  },
  value: (value) => {
    table.takeValue(value);
    curves?.touch();
  },
  formulas: ({ revision }) => {
    if (revision !== study.formula_revision) refreshFormulas();
    study.formula_revision = revision;
  },
  end: ({ state }) => {
    if (state === "DELETED") window.location.assign("/");
    else refresh(["best-card"]).then(refreshFormulas);
  },
});

await loadTrials();
live.open();
refreshValidations();

async function loadTrials() {
  let token = null;
  do {
    const query = new URLSearchParams({ page_size: PAGE_SIZE, ...(token && { page_token: token }) });
    const page = await get(`/v1/studies/${study.id}/trials?${query}`);
    for (const trial of page.trials) table.take(trial);
    token = page.next_page_token;
  } while (token !== null && table.trials.size < MOST_TRIALS);
  table.loaded(token !== null);
  if (token === null) summary.showTrials(table.trials);
}

/** The front is found by the server; trials that end at about the same time are shown together. */
function refreshFront() {
  frontTimer ??= setTimeout(() => {
    frontTimer = null;
    refresh(["best-card", "front-trials"]);
  }, FRONT_PAUSE_MS);
}

/** Sizes are trained by studies of their own, whose events do not come here. */
async function refreshValidations() {
  while (Number(find("#validations").dataset.running)) {
    await new Promise((resolve) => setTimeout(resolve, VALIDATION_PAUSE_MS));
    if (document.hidden) continue;
    await refresh(["validations"]);
    plotsIn(find("#validations"), study.id, study.plotly);
  }
}

async function refreshFormulas() {
  await refresh(["formulas"]);
  plotsIn(find("#formulas"), study.id, study.plotly);
}

/** What the server draws is taken from the page as it would be loaded now. */
async function refresh(ids) {
  const answer = await fetch(window.location.pathname + window.location.search, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const node = find(`#${id}`, fresh);
    if (node) find(`#${id}`)?.replaceWith(node);
  }
}

function highlight(trial) {
  const chip = find("#selected");
  chip.hidden = trial === null;
  for (const plot of ofTrials) plot.highlight(trial?.number ?? null);
  if (trial === null) return;
  const clear = element("button", { type: "button", "aria-label": "Remove the highlight" }, "×");
  clear.addEventListener("click", () => table.select(trial.number));
  const link = element("a", { href: `/v1/studies/${study.id}/trials/${trial.number}` }, `trial ${trial.number}`);
  chip.replaceChildren(link, clear);
}
