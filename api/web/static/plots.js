// Figures come from the API as they are; here they get the page's colours, and are drawn when they are in sight.
import { get } from "./api.js";
import { element, find, findAll } from "./dom.js";
import { colour } from "./theme-colours.js";

const SHORTEST_PAUSE_MS = 2500;
const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const OPENED = { threshold: 0, rootMargin: "300px" };

let plotly = null;

export class Plot {
  #stale = true;
  #inSight = false;
  #busy = false;
  #pause = 0;
  #figure = null;
  #trial = null;

  constructor(node, studyId, library) {
    this.node = node;
    this.name = node.dataset.plot;
    this.path = node.dataset.path ?? `/v1/studies/${studyId}/plots/${encodeURIComponent(this.name)}`;
    this.library = library;
    this.scale = null;
    new IntersectionObserver(([entry]) => {
      this.#inSight = entry.isIntersecting;
      this.#refresh();
    }, OPENED).observe(node);
    document.addEventListener("themechange", () => this.draw());
  }

  /** What is drawn is no longer true; it is drawn anew soon, if it is in sight. */
  touch() {
    this.#stale = true;
    this.#refresh();
  }

  setScale(scale) {
    this.scale = scale;
    this.draw();
  }

  /** Highlight a trial, or none. */
  highlight(number) {
    this.#trial = number;
    this.#busy = false;
    this.touch();
  }

  onPoint(handler) {
    this.pointHandler = handler;
  }

  // A server that takes long is asked less often.
  async #refresh() {
    if (!this.#stale || !this.#inSight || this.#busy || document.hidden) return;
    this.#busy = true;
    this.#stale = false;
    const begun = performance.now();
    try {
      const asked = this.#trial;
      const figure = await get(asked === null ? this.path : `${this.path}?trial=${asked}`);
      if (asked === this.#trial) this.#figure = figure;
      this.#pause = Math.max(SHORTEST_PAUSE_MS, 10 * (performance.now() - begun));
      await this.draw();
    } catch (error) {
      this.#say(error.message);
      this.#pause = SHORTEST_PAUSE_MS;
    }
    setTimeout(() => {
      this.#busy = false;
      this.#refresh();
    }, this.#pause);
  }

  async draw() {
    if (!this.#figure) return;
    const library = await load(this.library);
    const { data } = this.#figure;
    if (!data.some((trace) => trace.x.length)) {
      this.#say("Nothing to draw yet.");
      return;
    }
    find(":scope > .plot-note", this.node)?.remove();
    const isNew = !this.node.classList.contains("js-plotly-plot");
    await library.react(this.node, data, dressed(this.#figure.layout, this.scale, this.node), CONFIG);
    if (isNew) this.node.on("plotly_click", (event) => this.pointHandler?.(event.points[0].customdata));
  }

  #say(text) {
    find(":scope > .plot-note", this.node)?.remove();
    if (!this.node.classList.contains("js-plotly-plot")) {
      this.node.append(element("p", { class: "plot-note muted small" }, text));
    }
  }
}

export function plotsIn(root, studyId, library) {
  return findAll("[data-plot]", root).map((node) => new Plot(node, studyId, library));
}

/** Draw a figure that is at hand. */
export async function show(node, { data, layout }, address) {
  const library = await load(address);
  await library.react(node, data, dressed(layout, null, node), CONFIG);
}

function load(address) {
  plotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: address });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      plotly = null;
      reject(new Error("The plots' library could not be loaded."));
    });
    document.head.append(script);
  });
  return plotly;
}

function dressed(layout, scale, node) {
  const axis = {
    gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line-strong"),
    tickcolor: colour("line-strong"), title: { font: { size: 12, color: colour("muted") }, standoff: 10 },
  };
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") };
  const shown = {
    ...layout,
    template: { layout: { xaxis: axis, yaxis: axis } },
    font,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line-strong"), font: { ...font, color: colour("text") } },
    autosize: true,
    uirevision: "kept",
  };
  if (scale) {
    for (const name of ["xaxis", "yaxis"]) shown[name] = { ...layout[name], type: scale, minorloglabels: "complete" };
  }
  if (layout.height) node.style.minHeight = `${layout.height}px`;
  if (layout.meta?.min_width) node.style.minWidth = `${layout.meta.min_width}px`;
  return shown;
}
