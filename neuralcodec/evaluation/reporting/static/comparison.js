// The page of one image.
function drawComparison() {
  byId("eyebrow").textContent = data.eyebrow;
  byId("headline").textContent = data.headline;
  byId("lead").textContent = data.note;
  byId("footer").textContent = data.footer;
  const keys = Object.keys(FIGURES).filter((key) => data.rows.some((row) => known(row[key])));
  table(byId("rows-table"), [
    { name: "Codec", text: true, value: (row) => row.codec, write: (row) => named(byName(row.codec)) },
    { name: "Quality", value: (row) => row.quality, write: (row) => (known(row.quality) ? String(Number(row.quality.toPrecision(6))) : NONE) },
    ...keys.map((key) => ({ name: FIGURES[key].short, title: FIGURES[key].name, value: (row) => row[key] ?? null, write: (row) => FIGURES[key].write(row[key]) })),
  ], data.rows, { caption: "Figures" });
}

bindThemeButton();
drawComparison();
