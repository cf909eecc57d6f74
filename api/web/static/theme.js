// Runs before the page is painted, so that a chosen theme does not flash.
(() => {
  const KEY = "formulary-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const announce = () => document.dispatchEvent(new CustomEvent("themechange"));

  try {
    const chosen = localStorage.getItem(KEY);
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch { /* storage is switched off: the system's theme is used */ }

  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#theme")) return;
    root.dataset.theme = shown() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch { /* as above: the choice lasts as long as the page */ }
    announce();
  });
  system.addEventListener("change", announce);
})();
