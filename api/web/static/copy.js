// Copy buttons: data-copy names the element whose text is copied.
import { find } from "./dom.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = find(`#${CSS.escape(button.dataset.copy)}`);
  const copied = await copy(source.textContent);
  if (!copied) window.getSelection().selectAllChildren(source);
  button.textContent = copied ? "Copied" : "Selected: press Ctrl+C";
  setTimeout(() => { button.textContent = "Copy"; }, 2500);
});

// Browsers offer the clipboard on secure origins only; elsewhere the text is selected.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
