// The codecs: colour and marker of each, and which of them are shown.
const codecs = data.codecs;
const measured = codecs.filter((codec) => !codec.published);
const published = codecs.filter((codec) => codec.published);
const lossy = measured.filter((codec) => !codec.lossless);

// Paths of markers in a box from -1 to 1, by the names that plotly has for them.
const SHAPES = {
  circle: "M-.85 0a.85 .85 0 1 0 1.7 0a.85 .85 0 1 0 -1.7 0Z",
  square: "M-.75-.75h1.5v1.5h-1.5Z",
  diamond: "M0-1 1 0 0 1-1 0Z",
  "triangle-up": "M0-.95.95.75H-.95Z",
  "triangle-down": "M0 .95.95-.75H-.95Z",
  cross: "M-.33-1h.66v.67H1v.66H.33V1h-.66V.33H-1v-.66h.67Z",
  x: "M-.9-.5-.5-.9 0-.4.5-.9.9-.5.4 0 .9.5.5.9 0 .4-.5.9-.9.5-.4 0Z",
  star: "M0-1 .26-.32 1-.3.42.15.62.85 0 .44-.62.85-.42.15-1-.3-.26-.32Z",
};
const shapeNames = Object.keys(SHAPES);
const DASHES = ["6px,4px", "2px,3px", "10px,4px", "8px,3px,2px,3px", "4px,2px"];

[measured, published].forEach((group) => group.forEach((codec, number) => {
  codec.id = codecs.indexOf(codec);
  codec.hue = number % 8;
  // Past eight the colours come again, with other markers.
  codec.shape = shapeNames[(number + Math.floor(number / 8)) % shapeNames.length];
  codec.dash = codec.published ? DASHES[number % DASHES.length] : null;
}));
const colour = (codec) => data.palette[theme.get() === "dark" ? "dark" : "light"][codec.hue];

function icon(codec) {
  const box = svg("svg", { width: 22, height: 12, viewBox: "-11 -6 22 12", "aria-hidden": "true" });
  const paint = () => {
    const line = svg("path", { d: "M-11 0H11", stroke: colour(codec), "stroke-width": 2 });
    if (codec.dash) line.setAttribute("stroke-dasharray", "4 3");
    const mark = svg("path", { d: SHAPES[codec.shape], transform: "scale(4.6)", fill: colour(codec) });
    if (codec.dash) {
      mark.setAttribute("fill", "var(--bg)");
      mark.setAttribute("stroke", colour(codec));
      mark.setAttribute("stroke-width", 0.3);
    }
    box.replaceChildren(line, mark);
  };
  document.addEventListener("theme", paint);
  paint();
  return box;
}

function drawLegend() {
  const chip = (codec) => el("button", {
    type: "button", class: "chip", "aria-pressed": codec.shown, "data-codec": codec.id,
    title: codec.published ? `Published, not measured here: ${codec.published}` : codec.description || null,
    onclick(event) {
      codec.shown = !codec.shown;
      event.currentTarget.setAttribute("aria-pressed", codec.shown);
      document.dispatchEvent(new Event("shown"));
    },
  }, icon(codec), codec.name);
  byId("legend").replaceChildren(...measured.map(chip));
  if (!published.length) return;
  const others = el("div", { class: "chips", id: "legend-published", hidden: true, role: "group", "aria-label": "Published curves shown" },
    ...published.map(chip));
  byId("legend").append(el("button", {
    type: "button", class: "chip dim", id: "published", "aria-expanded": false, "aria-controls": "legend-published",
    onclick(event) {
      others.hidden = !others.hidden;
      event.currentTarget.setAttribute("aria-expanded", !others.hidden);
    },
  }, `Published (${published.length})`));
  byId("legend").after(others);
}
