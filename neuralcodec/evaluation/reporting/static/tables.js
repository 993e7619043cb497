// Tables whose columns sort. A column: {name, value(row), write(row) -> text or node, text, title}.
function table(node, columnsOf, rows, { sort = null, descending = false, page = Infinity, more = null, caption = "" } = {}) {
  const state = { sort, descending, count: page, rows };
  const body = el("tbody");
  const heads = columnsOf.map((column, number) => el("th", {
    scope: "col", class: column.text ? "text" : null, "aria-sort": column.value ? "none" : null, title: column.title,
  }, column.value
    ? el("button", { type: "button", onclick: () => sortBy(number) }, column.name)
    : column.name));

  function sortBy(number) {
    state.descending = state.sort === number ? !state.descending : false;
    state.sort = number;
    draw();
  }
  function sorted() {
    if (state.sort === null) return state.rows;
    const { value } = columnsOf[state.sort];
    const sign = state.descending ? -1 : 1;
    // What has no value stands last, whichever way one sorts.
    return state.rows.map((row) => [value(row), row]).sort(([a], [b]) => {
      const [noA, noB] = [a === null || a === undefined, b === null || b === undefined];
      if (noA || noB) return noA - noB;
      return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
    }).map(([, row]) => row);
  }
  function draw() {
    heads.forEach((head, number) => {
      if (head.hasAttribute("aria-sort")) {
        head.setAttribute("aria-sort", state.sort !== number ? "none" : state.descending ? "descending" : "ascending");
      }
    });
    body.replaceChildren(...sorted().slice(0, state.count).map((row) =>
      el("tr", { class: row.error ? "error" : null }, ...columnsOf.map((column) =>
        el("td", { class: [column.text ? "text" : "", column.style?.(row) ?? ""].join(" ").trim() || null },
          column.write(row))))));
    if (more) more.hidden = state.rows.length <= state.count;
  }
  more?.addEventListener("click", () => { state.count += page; draw(); });
  node.replaceChildren(el("caption", { hidden: true }, caption), el("thead", {}, el("tr", {}, ...heads)), body);
  draw();
  return { update(next) { state.rows = next; state.count = page; draw(); } };
}

const named = (codec) => el("span", {}, icon(codec), ` ${codec.name}`);
const byName = (name) => codecs.find((codec) => codec.name === name);

function drawLossless() {
  const rows = data.lossless;
  if (!rows.length) return;
  byId("lossless").hidden = false;
  const least = Math.min(...rows.map((row) => row.bits_per_sample));
  const number = (name, key, write) => ({ name, value: (row) => row[key], write: (row) => write(row[key]) });
  table(byId("lossless-table"), [
    { name: "Codec", text: true, value: (row) => row.codec, write: (row) => named(byName(row.codec)) },
    {
      ...number("Bits per sub-pixel", "bits_per_sample", (v) => fixed(v, 4)),
      style: (row) => (row.bits_per_sample === least ? "best" : ""),
    },
    number("Ratio", "ratio", (v) => fixed(v, 3)),
    number("All files", "bytes", bytes),
    number("Encode a file", "encoding_time", seconds),
    number("Decode a file", "decoding_time", seconds),
    number("Peak memory", "peak_memory", bytes),
    {
      name: "Exact", write: (row) => (row.exact === null ? NONE : row.exact ? "yes" : "NO"),
      style: (row) => (row.exact === false ? "bad" : ""),
    },
  ], rows, { sort: 1, caption: "Lossless codecs" });
}

function drawBreakEven() {
  const rows = data.breakEven;
  if (!rows.length) return;
  byId("even").hidden = false;
  const at = (place) => ({
    name: { lossless: "Images", low: "Low quality", middle: "Middle", high: "High quality" }[place],
    value: (row) => row.at.find((point) => point.place === place)?.images ?? null,
    write(row) {
      const point = row.at.find((one) => one.place === place);
      if (!point) return NONE;
      const count = point.images === null ? "never" : fixed(point.images, 0);
      const quality = point.quality === null ? "" : ` at ${withUnit(data.metrics[0], point.quality)}`;
      return el("span", { title: `${bytes(point.bytes)} against ${bytes(point.otherBytes)} an image${quality}` }, count);
    },
    style: (row) => (row.at.find((point) => point.place === place)?.images === null ? "dim" : ""),
  });
  const places = ["lossless", "low", "middle", "high"].filter((place) =>
    rows.some((row) => row.at.some((point) => point.place === place)));
  table(byId("even-table"), [
    { name: "Codec with a model", text: true, value: (row) => row.codec, write: (row) => named(byName(row.codec)) },
    { name: "Model", value: (row) => row.model, write: (row) => bytes(row.model) },
    { name: "Against", text: true, value: (row) => row.other, write: (row) => named(byName(row.other)) },
    ...places.map(at),
  ], rows, { caption: "Break-even counts" });
}

function drawRows() {
  const all = [
    ...data.rows.rows.map(asObject),
    ...data.rows.errors.map(([codec, image, quality, error]) => ({ codec, image, quality, error })),
  ];
  for (const row of all) {
    row.codecName = codecs[row.codec].name;
    row.imageName = data.rows.images[row.image];
  }
  const keys = columns.filter((key) => !(key === "bits_per_sample" && lossy.length === measured.length));
  const [shown, filters] = [{}, { codec: "", text: "" }];
  const parts = table(byId("rows-table"), [
    { name: "Image", text: true, value: (row) => row.imageName, write: (row) => row.imageName, style: () => "name" },
    { name: "Codec", text: true, value: (row) => row.codecName, write: (row) => named(codecs[row.codec]) },
    { name: "Quality", value: (row) => row.quality, write: (row) => (known(row.quality) ? String(row.quality) : NONE) },
    ...keys.map((key) => ({
      name: FIGURES[key].short, title: FIGURES[key].name,
      value: (row) => row[key], write: (row) => (row.error ? "" : FIGURES[key].write(row[key])),
    })),
    ...(data.rows.errors.length
      ? [{ name: "Error", text: true, value: (row) => row.error, write: (row) => row.error ?? "", style: () => "note" }]
      : []),
  ], all, { page: 50, more: byId("rows-more"), caption: "Every file" });
  const update = () => {
    shown.rows = all.filter((row) =>
      (filters.codec === "" || (filters.codec === "error" ? row.error : row.codec === Number(filters.codec))) &&
      row.imageName.toLowerCase().includes(filters.text));
    parts.update(shown.rows);
    const rest = data.rows.leftOut ? `; ${fixed(data.rows.leftOut, 0)} more are in results.csv` : "";
    byId("rows-count").textContent = `${fixed(shown.rows.length, 0)} of ${fixed(all.length, 0)} rows${rest}`;
  };
  fill(byId("rows-codec"), [
    ["", "all"], ...measured.map((codec) => [codec.id, codec.name]),
    ...(data.rows.errors.length ? [["error", "only what failed"]] : []),
  ]);
  byId("rows-codec").addEventListener("change", (event) => { filters.codec = event.target.value; update(); });
  byId("rows-filter").addEventListener("input", (event) => { filters.text = event.target.value.toLowerCase(); update(); });
  update();
}
