// The page of all studies: while one of them is active, the list is read again from time to time.
import "./copy.js";
import { find } from "./dom.js";

const PAUSE_MS = 4000;

find("#show").addEventListener("change", (event) => event.target.form.requestSubmit());

setInterval(async () => {
  if (document.hidden || find("#live").contains(document.activeElement)) return;
  const answer = await fetch(window.location.href, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = find("#live", new DOMParser().parseFromString(await answer.text(), "text/html"));
  if (fresh && fresh.innerHTML !== find("#live").innerHTML) find("#live").replaceWith(fresh);
}, PAUSE_MS);
