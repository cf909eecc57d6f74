// The buttons that change a study or a campaign; what could lose something asks first.
import { request } from "./api.js";
import { find } from "./dom.js";

export function installActions(subject) {
  const dialog = find("#confirm");
  const yes = find("#confirm-yes");
  let act = async () => {};

  find("#actions").addEventListener("click", (event) => {
    const button = event.target.closest("[data-verb]");
    if (!button) return;
    const { verb, label, question } = button.dataset;
    find("#confirm-title").textContent = `${label} “${subject.name}”?`;
    find("#confirm-question").textContent = question;
    find("#confirm-error").hidden = true;
    yes.textContent = label;
    yes.className = `button ${button.classList.contains("danger") ? "danger-filled" : "primary"}`;
    act = () => change(subject, verb);
    if (!question) run();
    else dialog.showModal();
  });

  yes.addEventListener("click", run);

  async function run() {
    yes.disabled = true;
    try {
      await act();
      if (dialog.open) dialog.close();
    } catch (error) {
      const said = find("#confirm-error");
      said.textContent = error.message;
      said.hidden = false;
      if (!dialog.open) dialog.showModal();
    } finally {
      yes.disabled = false;
    }
  }
}

async function change({ path, home }, verb) {
  if (verb === "delete") {
    await request("DELETE", path);
    window.location.assign(home);
    return;
  }
  const changed = await request("POST", `${path}:${verb}`);
  if (verb === "clone") window.location.assign(`/studies/${changed.id}`);
  else document.dispatchEvent(new CustomEvent("statechange"));
}
