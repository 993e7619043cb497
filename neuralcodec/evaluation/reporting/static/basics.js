// Elements, numbers in words, and what all parts of the page share. Names reach the page as text only.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-") && typeof value === "boolean") node.setAttribute(key, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const NONE = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const formats = new Map();
function fixed(value, digits) {
  if (!known(value)) return NONE;
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(value).replace("-", "−");
}
const signed = (value, digits) => (known(value) && value > 0 ? "+" : "") + fixed(value, digits);

function scaled(value, units) {
  if (!known(value)) return NONE;
  const [size, name] = units.find(([least]) => value >= least) ?? units.at(-1);
  const shown = value / size;
  return `${fixed(shown, shown >= 100 || shown === 0 ? 0 : shown >= 10 ? 1 : 2)} ${name}`;
}
const seconds = (value) => scaled(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]);
const bytes = (value) =>
  known(value) && value < 10000 ? `${fixed(value, 0)} B` : scaled(value, [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]);

// How each figure is called and written.
const FIGURES = {
  "psnr-rgb": { name: "PSNR (RGB)", short: "PSNR", unit: "dB", write: (v) => fixed(v, 2) },
  "psnr-y": { name: "PSNR (luma)", short: "PSNR-Y", unit: "dB", write: (v) => fixed(v, 2) },
  "ms-ssim-rgb-db": { name: "MS-SSIM (dB)", short: "MS-SSIM dB", unit: "dB", write: (v) => fixed(v, 2) },
  "ms-ssim-rgb": { name: "MS-SSIM", short: "MS-SSIM", unit: "", write: (v) => fixed(v, 4) },
  "ssim-rgb": { name: "SSIM", short: "SSIM", unit: "", write: (v) => fixed(v, 4) },
  bpp: { name: "Bits per pixel", short: "bpp", unit: "bpp", write: (v) => fixed(v, 3) },
  bits_per_sample: { name: "Bits per sub-pixel", short: "bits/sub-pixel", unit: "bits", write: (v) => fixed(v, 3) },
  bytes: { name: "Bytes", short: "Bytes", unit: "B", write: (v) => fixed(v, 0) },
  "max-error": { name: "Largest error", short: "Max error", unit: "", write: (v) => fixed(v, 0) },
  encoding_time: { name: "Encoding, seconds", short: "Encode", unit: "s", write: seconds },
  decoding_time: { name: "Decoding, seconds", short: "Decode", unit: "s", write: seconds },
  peak_memory: { name: "Peak memory, bytes", short: "Memory", unit: "B", write: bytes },
};
const withUnit = (key, value) => {
  const { write, unit } = FIGURES[key];
  return ["encoding_time", "decoding_time", "peak_memory"].includes(key) || !unit ? write(value) : `${write(value)} ${unit}`;
};

// One of a few, as buttons of which one is pressed; arrow keys move.
function segments(box, options, chosen, choose) {
  const buttons = options.map(([value, label]) =>
    el("button", { type: "button", role: "radio", "data-value": value, onclick: () => pick(value, true) }, label));
  function pick(value, tell) {
    for (const button of buttons) {
      const own = button.dataset.value === String(value);
      button.setAttribute("aria-checked", own);
      button.tabIndex = own ? 0 : -1;
    }
    if (tell) choose(value);
  }
  box.replaceChildren(...buttons);
  box.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    buttons[next].focus();
    buttons[next].click();
  };
  pick(chosen, false);
  box.hidden = options.length < 2;
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, label]) => el("option", { value }, label)));
  if (chosen !== undefined) select.value = chosen;
}

// Draw when a part of the page comes near the window, and only then.
const nearby = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    nearby.unobserve(target);
    target.whenNear();
  }
}, { rootMargin: "300px" });
function whenNear(node, draw) {
  node.whenNear = draw;
  nearby.observe(node);
}

function bindThemeButton() {
  const button = byId("theme");
  const label = () => { button.textContent = theme.get() === "dark" ? "☀ Light" : "☾ Dark"; };
  button.setAttribute("aria-label", "Switch between light and dark");
  button.addEventListener("click", () => theme.set(theme.get() === "dark" ? "light" : "dark"));
  document.addEventListener("theme", label);
  label();
}
