// What being wrong about a value costs: a small figure for each curve, the range of the value shaded behind it.
import { element, find } from "./dom.js";
import { plain } from "./format.js";
import { show } from "./plots.js";
import { colour } from "./theme-colours.js";

const LOG_RATIO = 3;
let drawn = null;

document.addEventListener("themechange", () => drawn && drawRegrets(...drawn));

export function drawRegrets(recipe, library) {
  drawn = [recipe, library];
  const known = recipe.regrets.filter((curve) => curve.points.length > 1);
  const unknown = recipe.regrets.filter((curve) => curve.points.length <= 1);
  const ranges = new Map(recipe.fields.map((field) => [field.name, field.range]));
  const cards = known.map((curve) => {
    const plot = element("div", { class: "plot", role: "img", "aria-label": described(curve) });
    return { curve, plot, card: element("figure", {}, element("figcaption", {}, element("b", {}, title(curve)), element("span", { class: "muted small block" }, curve.basis)), plot) };
  });
  find("#regrets").replaceChildren(...cards.map(({ card }) => card));
  const reasons = unknown.map((curve) => `${title(curve)}: ${curve.basis.replace(/^unknown: /, "")}`);
  find("#unknown-regrets").textContent = reasons.length ? `Not known: ${reasons.join("; ")}.` : "";
  for (const { curve, plot } of cards) show(plot, figure(curve, ranges.get(curve.name)), library);
}

const title = (curve) => plain(curve.name.split(".").at(-1));

function described(curve) {
  const { points, metric } = curve;
  const [first, last] = [points[0], points.at(-1)];
  return `${title(curve)}: ${first.value} costs ${first.excess.toPrecision(2)}, ${last.value} costs ${last.excess.toPrecision(2)} ${plain(metric)}`;
}

function figure(curve, range) {
  const { points, recommended, metric } = curve;
  const xs = points.map((point) => point.value);
  const numeric = xs.every((value) => typeof value === "number");
  const logarithmic = numeric && xs[0] > 0 && xs.at(-1) / xs[0] > LOG_RATIO;
  const ys = points.map((point) => point.excess);
  const data = numeric ? curves(points, xs, ys) : [categories(points, xs, ys)];
  if (numeric) {
    data.push({ type: "scatter", mode: "markers", name: "recommended", x: [recommended], y: [0], marker: { size: 10, color: colour("accent") },
      hovertemplate: "recommended: %{x:.4g}<extra></extra>" });
  }
  const xaxis = { type: !numeric ? "category" : logarithmic ? "log" : "linear", title: { text: title(curve) }, automargin: true, nticks: 6 };
  const yaxis = { type: "linear", title: { text: `excess (${plain(metric)})` }, automargin: true, nticks: 5, zeroline: true };
  return { data, layout: { xaxis, yaxis, showlegend: false, hovermode: "closest", margin: { l: 56, r: 12, t: 8, b: 44 }, shapes: numeric ? shaded(range, xs) : [] } };
}

function curves(points, xs, ys) {
  const band = { type: "scatter", mode: "lines", x: [...xs, ...xs.toReversed()], y: [...points.map((point) => point.low), ...points.map((point) => point.high).toReversed()],
    fill: "toself", fillcolor: "rgba(63, 127, 224, 0.18)", line: { width: 0 }, hoverinfo: "skip" };
  const line = { type: "scatter", mode: "lines", x: xs, y: ys, line: { color: "#3f7fe0", width: 2.5 },
    customdata: points.map((point) => [point.low, point.high]), hovertemplate: "%{x:.4g}: %{y:+.3g} (%{customdata[0]:+.3g} to %{customdata[1]:+.3g})<extra></extra>" };
  return [band, line];
}

function categories(points, xs, ys) {
  const array = points.map((point) => point.high - point.excess);
  const arrayminus = points.map((point) => point.excess - point.low);
  return { type: "scatter", mode: "markers", x: xs, y: ys, error_y: { type: "data", symmetric: false, array, arrayminus }, marker: { size: 9, color: "#3f7fe0" },
    hovertemplate: "%{x}: %{y:+.3g}<extra></extra>" };
}

/** The range of the value, as far as the figure reaches. */
function shaded(range, xs) {
  if (!range || (range.low === null && range.high === null)) return [];
  const x0 = Math.max(range.low ?? xs[0], xs[0]);
  const x1 = Math.min(range.high ?? xs.at(-1), xs.at(-1));
  if (!(x0 < x1)) return [];
  return [{ type: "rect", xref: "x", yref: "paper", x0, x1, y0: 0, y1: 1, line: { width: 0 }, fillcolor: "rgba(31, 157, 118, 0.12)", layer: "below" }];
}
