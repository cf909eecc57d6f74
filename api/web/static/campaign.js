// The page of a campaign: while it runs, what the server draws is read again, and the ladder is drawn anew.
import { installActions } from "./actions.js";
import { find, findAll, setText } from "./dom.js";
import { refresh } from "./fresh.js";
import { plotsIn } from "./plots.js";

const PAUSE_MS = 4000;
const PARTS = ["state", "notices", "progress", "stages-rows", "stages-total", "ladder-rows", "ladder-lines"];
const WORDS = { live: "Live", lost: "Connection lost, trying again …", idle: "" };

const campaign = JSON.parse(find("#campaign-data").textContent);
const plots = plotsIn(document, campaign.id, campaign.plotly);

installActions(campaign);
document.addEventListener("statechange", update);
say(isUnfinished() ? "live" : "idle");
setInterval(() => document.hidden || !isUnfinished() || update(), PAUSE_MS);

function isUnfinished() {
  return find("#progress").dataset.unfinished === "yes";
}

async function update() {
  const before = find("#ladder-rows")?.innerHTML;
  const read = await refresh(PARTS);
  say(!read ? "lost" : isUnfinished() ? "live" : "idle");
  const state = find("#state").textContent.toUpperCase();
  for (const button of findAll("#actions [data-states]")) button.hidden = !button.dataset.states.split(" ").includes(state);
  if (find("#ladder-rows")?.innerHTML !== before) for (const plot of plots) plot.touch();
}

function say(status) {
  const node = find("#connection");
  node.dataset.status = status;
  setText(node, WORDS[status]);
}
