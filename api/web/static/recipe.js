// The page of a recipe: asks for it as the target changes, and shows what is said of it.
import { get } from "./api.js";
import { element, find, findAll } from "./dom.js";
import { count, number, plain } from "./format.js";
import { drawRegrets } from "./regrets.js";

const PAUSE_MS = 350;
const SOURCE_TONES = { formula: "active", trial: "good", default: "calm", target: "warn", derived: "calm" };
const LAWS = { step_law: "Step Law", deepseek: "DeepSeek LLM", complete_p: "CompleteP" };
const MINUTES_A_DAY = 1440;

const page = JSON.parse(find("#recipe-data").textContent);
const form = find("#target");
let asked = 0;
let timer = null;

if (form) {
  for (const [name, value] of new URLSearchParams(window.location.search)) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  ask();
}

async function ask() {
  const own = ++asked;
  try {
    const query = new URLSearchParams(wanted());
    const recipe = await get(`${page.path}?${query}`);
    if (own !== asked) return;
    window.history.replaceState(null, "", `?${query}`);
    refuse(null);
    show(recipe);
  } catch (error) {
    if (own === asked) refuse(error.message);
  }
}

/** What the form says; what is left empty is not asked. */
function wanted() {
  const said = {};
  for (const field of findAll("input, select", form)) {
    const text = field.value.trim();
    if (!text && !field.required) continue;
    const value = field.dataset.count === undefined ? text : count(text);
    if (value === null) throw new Error(`${field.labels[0].textContent}: give a whole number, e.g. 10M or 2000000.`);
    said[field.name] = value;
  }
  return said;
}

function refuse(message) {
  const line = find("#refusal");
  line.hidden = message === null;
  line.textContent = message ?? "";
  if (message !== null) find("#recipe").hidden = true;
}

function show(recipe) {
  find("#recipe").hidden = false;
  const recommended = recipe.fields.filter((field) => field.range);
  find("#values").replaceChildren(...recommended.map(valueRow));
  find("#fields").replaceChildren(...recipe.fields.map(fieldRow));
  find("#warnings").replaceChildren(...recipe.warnings.map((line) => element("li", {}, line)));
  find("#laws").replaceChildren(...recipe.laws.map(lawRow));
  find("#risk").replaceChildren(...riskLines(recipe.divergence));
  predict(recipe);
  showPlan(recipe.plan);
  drawRegrets(recipe, page.plotly);
}

const lastPart = (name) => plain(name.split(".").at(-1));

function valueRow({ name, value, source, reference, note, range }) {
  return element("tr", {},
    element("th", { scope: "row" }, lastPart(name)),
    element("td", { class: "num" }, element("b", {}, value === null ? "left out" : number(value))),
    element("td", {}, rangeText(range), element("span", { class: "muted small block" }, range.basis)),
    element("td", {}, badge(source), element("span", { class: "muted small block" }, note ? `${reference}; ${note}` : reference)));
}

function rangeText({ low, high }) {
  if (low === null && high === null) return element("span", { class: "muted" }, "unknown");
  if (low === null) return `up to ${number(high)}`;
  return high === null ? `from ${number(low)}` : `${number(low)} to ${number(high)}`;
}

const badge = (source) => element("span", { class: `badge plain ${SOURCE_TONES[source]}` }, source);

function fieldRow({ name, value, source, reference, note }) {
  return element("tr", {}, element("th", { scope: "row" }, element("code", {}, name)), element("td", { class: "value" }, number(value)),
    element("td", {}, badge(source), element("span", { class: "muted small block" }, note ? `${reference}; ${note}` : reference)));
}

function lawRow({ name, learning_rate: rate, batch_tokens: batch, best_batch: best, source, note }) {
  const own = name === "this recipe";
  const cell = (value) => element("td", { class: "num" }, value === null ? "" : number(value));
  return element("tr", {}, element("th", { scope: "row" }, own ? element("b", {}, name) : LAWS[name] ?? name),
    cell(rate), cell(batch), cell(best && Math.round(best)), element("td", { class: "small muted" }, `${source}; ${note}`));
}

function riskLines(risk) {
  if (risk === null) return [element("p", { class: "muted" }, "Unknown: no trials bracket a best rate.")];
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const seen = risk.nearest_diverged === null
    ? `No rate diverged, up to ×${number(risk.highest_stable)} the best one.`
    : `The lowest rate that diverged was ×${number(risk.nearest_diverged)} the best one of its size and batch.`;
  return [
    element("p", {}, element("b", { class: "risk" }, `${percent(risk.low)} to ${percent(risk.high)}`),
      ` (${Math.round(100 * risk.level)} %): ${risk.diverged} of ${risk.runs} runs within ×${number(risk.window)} of the best rate of their size and batch diverged.`),
    element("p", {}, seen), element("p", { class: "small muted" }, risk.note),
  ];
}

function predict({ prediction, expectation, extrapolation, data }) {
  const gib = (bytes) => `${number(bytes / 2 ** 30)} GiB`;
  const limit = prediction.memory_limit_bytes;
  const tiles = [
    ["Parameters", number(prediction.total_parameters), `${(100 * prediction.embedding_share).toFixed(1)} % in embedding and head`],
    ["Steps", number(prediction.steps), null],
    ["Training", `${prediction.train_flops.toExponential(2)} FLOPs`, null],
    ["Time", prediction.days ? [...new Set(prediction.days.map(time))].join(" to ") : "unknown", prediction.gpus && `${number(prediction.gpus)} GPU${prediction.gpus === 1 ? "" : "s"}`],
    ["Memory of a GPU", gib(prediction.memory_bytes), limit === null ? null : `of ${gib(limit)}`],
    ["Epochs", data.epochs === null ? "unknown" : number(data.epochs), data.unique_tokens === null ? null : `${number(data.unique_tokens)} unique tokens`],
  ];
  if (expectation) {
    const interval = `${number(expectation.low)} to ${number(expectation.high)}`;
    tiles.push([`Expected ${plain(expectation.metric)}`, number(expectation.estimate), interval]);
  }
  find("#prediction").replaceChildren(...tiles.map(([name, value, more]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value, more && element("span", { class: "muted small block" }, more)))));
  const bases = [`Utilisation: ${prediction.mfu_basis}.`, `Memory: ${prediction.memory_basis}.`, `Text: ${data.basis}.`];
  const reach = Object.entries(extrapolation).map(([name, factor]) => `×${number(factor)} in ${plain(name)}`);
  if (reach.length) bases.unshift(`Outside what the trials cover (×1 is inside): ${reach.join(", ")}.`);
  if (expectation) {
    const { optimal_parameters: size, optimal_tokens: tokens } = expectation;
    const best = size && tokens ? `; its compute would be best spent on ${number(size)} parameters and ${number(tokens)} tokens` : "";
    bases.push(`Expected loss: ${expectation.basis}${best}.`);
  }
  find("#bases").replaceChildren(...bases.map((line) => element("li", {}, line)));
}

/** Parent, rounds and teacher; nothing where the run is a plain one. */
function showPlan(plan) {
  find("#plan-card").hidden = plan === null;
  if (plan === null) return;
  const { start, rounds, teacher, tokens, total_tokens: total } = plan;
  const tiles = [];
  if (start) {
    const kept = `${number(start.depth)} of ${number(start.parent_depth)} layers by ${plain(start.layers)}, channels and heads by ${plain(start.neurons)}`;
    tiles.push(["Weights inherited from", start.parent, `${number(start.parent_parameters)} parameters`], ["Kept", plain(start.neurons), kept]);
    const trained = start.parent_train_flops === null ? "unknown" : `${start.parent_train_flops.toExponential(2)} FLOPs`;
    tiles.push(["Choosing them", `${start.flops.toExponential(2)} FLOPs`, `training the parent: ${trained}`]);
  }
  if (teacher) {
    const share = `${number(teacher.weight)} of the loss at temperature ${number(teacher.temperature)}`;
    tiles.push(["Teacher", teacher.teacher, `${number(teacher.teacher_parameters)} parameters, ${share}`]);
  }
  if (tokens !== null) {
    const beside = start || teacher ? `as many FLOPs as ${number(Math.round(total))} with what inheriting and a teacher take` : null;
    tiles.push(["Training tokens", number(tokens), beside]);
  }
  find("#plan").replaceChildren(...tiles.map(([name, value, more]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value, more && element("span", { class: "muted small block" }, more)))));
  find("#rounds").replaceChildren(...rounds.map((round) => element("tr", {},
    element("th", { scope: "row" }, number(round.number)), element("td", { class: "num" }, round.tokens === null ? "" : number(round.tokens)),
    element("td", { class: "num" }, `${(100 * round.share).toFixed(1)} %`), element("td", {}, round.reads))));
  find("#plan-basis").textContent = start ? start.basis : "";
}

function time(days) {
  if (days >= 1) return `${number(days)} days`;
  const minutes = days * MINUTES_A_DAY;
  if (minutes >= 60) return `${number(minutes / 60)} h`;
  return minutes >= 1 ? `${number(minutes)} min` : `${number(60 * minutes)} s`;
}
