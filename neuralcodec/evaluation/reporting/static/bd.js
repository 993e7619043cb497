// The table of Bjøntegaard differences; every anchor was computed beforehand.
const bdChoice = { anchor: data.anchor, metric: null };

function drawBd() {
  const metrics = Object.keys(data.bd ?? {});
  if (!metrics.length) return;
  byId("bd").hidden = false;
  bdChoice.metric = metrics[0];
  const group = (label, members) => el("optgroup", { label }, ...members.map((codec) => el("option", { value: codec.id }, codec.name)));
  byId("bd-anchor").replaceChildren(group("Measured", lossy));
  if (published.length) byId("bd-anchor").append(group("Published", published));
  byId("bd-anchor").value = bdChoice.anchor;
  byId("bd-anchor").addEventListener("change", (event) => {
    bdChoice.anchor = Number(event.target.value);
    update();
  });
  segments(byId("bd-metric"), metrics.map((key) => [key, FIGURES[key].name]), bdChoice.metric, (key) => {
    bdChoice.metric = key;
    update();
  });
  const update = () => {
    const rows = data.bd[bdChoice.metric][bdChoice.anchor] ?? [];
    const reach = Math.max(10, ...rows.flatMap((row) => [row.rate, row.rateLow, row.rateHigh]).filter(known).map(Math.abs));
    const [mine, others] = [false, true].map((isPublished) => rows.filter((row) => Boolean(codecs[row.codec].published) === isPublished));
    table(byId("bd-table"), bdColumns(reach), mine, { sort: 1, caption: "Bjøntegaard differences" });
    byId("bd-others").hidden = !others.length;
    byId("bd-others").firstElementChild.textContent = `Published curves against ${codecs[bdChoice.anchor].name} (${others.length})`;
    table(byId("bd-published-table"), bdColumns(reach), others, { sort: 1, caption: "Bjøntegaard differences of published curves" });
  };
  update();
}

function bdColumns(reach) {
  const unit = FIGURES[bdChoice.metric].unit;
  const interval = (low, high, digits) => (known(low) && known(high) ? `${signed(low, digits)} to ${signed(high, digits)}` : NONE);
  const digits = unit === "dB" ? 2 : 4;
  const tone = (row) => (!known(row.rate) ? "dim" : row.rate < 0 ? "good" : "bad");
  return [
    {
      name: "Codec", text: true, value: (row) => codecs[row.codec].name,
      write: (row) => named(codecs[row.codec]),
    },
    { name: "BD-rate", value: (row) => row.rate, style: (row) => `best ${tone(row)}`, write: (row) => (known(row.rate) ? `${signed(row.rate, 1)}%` : NONE) },
    { name: "95% interval", write: (row) => interval(row.rateLow, row.rateHigh, 1) },
    { name: "", text: true, style: tone, write: (row) => bdBar(row, reach) },
    { name: `BD-${FIGURES[bdChoice.metric].short}${unit ? `, ${unit}` : ""}`, value: (row) => row.quality, write: (row) => signed(row.quality, digits) },
    { name: "95% interval", write: (row) => interval(row.qualityLow, row.qualityHigh, digits) },
    { name: "Overlap", value: (row) => row.overlap, write: (row) => (known(row.overlap) ? `${fixed(100 * row.overlap, 0)}%` : NONE), style: (row) => (row.overlap < 0.75 ? "bad" : "") },
    { name: "Notes", text: true, style: () => "note", write: (row) => row.notes.join(" ") },
  ];
}

// Zero in the middle; the bar is the value, the line the interval.
function bdBar(row, reach) {
  if (!known(row.rate)) return "";
  const place = (value) => 50 + (50 * Math.max(-reach, Math.min(reach, value))) / reach;
  const part = (name, low, high) => {
    const [left, right] = [place(low), place(high)].sort((a, b) => a - b);
    const node = el("i", { class: name });
    node.style.left = `${left}%`;
    node.style.width = `${Math.max(0.5, right - left)}%`;
    return node;
  };
  const zero = el("i", { class: "zero" });
  zero.style.left = "50%";
  const box = el("span", { class: "bar", "aria-hidden": "true" }, zero, part("value", 0, row.rate));
  if (known(row.rateLow) && known(row.rateHigh)) box.append(part("interval", row.rateLow, row.rateHigh));
  return box;
}
