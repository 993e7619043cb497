// The theme, set before anything is painted: the reader's choice here, else the system's.
const theme = {
  get: () => document.documentElement.dataset.theme,
  set(name) {
    document.documentElement.dataset.theme = name;
    document.dispatchEvent(new Event("theme"));
  },
};
const systemTheme = matchMedia("(prefers-color-scheme: dark)");
theme.set(systemTheme.matches ? "dark" : "light");
systemTheme.addEventListener("change", () => theme.set(systemTheme.matches ? "dark" : "light"));
