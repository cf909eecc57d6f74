// Parts of a page, read again as the page would be loaded now; what somebody is using stays as it is.
import { find } from "./dom.js";

/** Replace the elements of these ids that have changed; false where the page could not be read. */
export async function refresh(ids) {
  const answer = await fetch(window.location.href, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok || answer.redirected) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const shown = find(`#${id}`);
    const fresh = find(`#${id}`, page);
    if (!shown || !fresh || shown.contains(document.activeElement)) continue;
    for (const { name, value } of fresh.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
    if (fresh.innerHTML !== shown.innerHTML) shown.replaceChildren(...fresh.childNodes);
  }
  return true;
}
