// Plots by plotly: rate and quality, time and memory. All follow the legend and the theme.
const drawn = new Map(); // element -> function that gives {traces, layout}
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Plotly reads a little HTML in its texts; names are not to be read so.
const literal = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function layoutOf({ x, y, logX, logY, small }) {
  const axis = (title, log) => ({
    title: { text: literal(title), font: { size: small ? 12 : 13 }, standoff: 10 }, type: log ? "log" : "linear",
    gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, automargin: true, fixedrange: small,
    tickfont: { size: small ? 11 : 12 }, nticks: small ? 6 : 10, exponentformat: "SI",
    ...(log ? { dtick: "D2" } : {}),
  });
  return {
    xaxis: { ...axis(x, logX), rangemode: logX ? "normal" : "tozero" }, yaxis: axis(y, logY),
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: getComputedStyle(document.body).fontFamily, color: css("--muted") },
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), align: "left", font: { color: css("--ink"), size: 13 } },
    margin: { l: 48, r: 12, t: 8, b: 40 }, dragmode: small ? false : "zoom",
  };
}

function traceOf(codec, points, small) {
  const order = points.filter(({ x, y }) => known(x) && known(y)).sort((a, b) => a.x - b.x);
  return {
    type: "scatter", mode: codec.published && !small ? "lines+markers+text" : "lines+markers", name: literal(codec.name), visible: codec.shown, meta: codec.id,
    x: order.map(({ x }) => x), y: order.map(({ y }) => y), hovertext: order.map(({ text }) => text),
    hovertemplate: "%{hovertext}<extra></extra>", cliponaxis: false,
    // Published curves tell their names where they end; the legend does not show them at once.
    text: order.map((_, n) => (n === order.length - 1 ? ` ${literal(codec.name)}` : "")),
    textposition: "middle right", textfont: { size: 11, color: colour(codec) },
    line: { color: colour(codec), width: codec.published ? 1.4 : small ? 1.8 : 2.2, dash: codec.dash ?? "solid" },
    marker: {
      symbol: codec.published ? `${codec.shape}-open` : codec.shape, size: codec.published ? 5 : codec.lossless ? 10 : small ? 6 : 8,
      color: colour(codec),
    },
    opacity: codec.published ? 0.85 : 1,
  };
}

// Points of the means of a codec, or of one image (by its number).
function pointsOf(codec, xKey, yKey, image) {
  const about = (quality, x, y, count) => [
    `<b>${literal(codec.name)}</b>${codec.published ? " (published)" : ""}`,
    [known(quality) ? `quality ${fixed(quality, Number.isInteger(quality) ? 0 : 3)}` : null, count].filter(Boolean).join(", "),
    `${withUnit(xKey, x)}, ${withUnit(yKey, y)}`,
  ].filter(Boolean).join("<br>");
  if (image !== null) {
    return rowsOfImage(codec, image).map((row) => {
      const [x, y] = [row[xKey], row[yKey]];
      return { x, y, text: about(row.quality, x, y, literal(data.rows.images[image])) };
    });
  }
  const [xs, ys] = [codec.means[xKey] ?? [], codec.means[yKey] ?? []];
  const count = codec.published ? null : codec.images === 1 ? "1 image" : `mean of ${codec.images} images`;
  return xs.map((x, rate) => ({ x, y: ys[rate], text: about(codec.quality[rate], x, ys[rate], count) }));
}

function show(node, make) {
  drawn.set(node, make);
  const { traces, layout } = make();
  const options = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
  return Plotly.react(node, traces, layout, options);
}
// 1, 2 and 5 of each decade of seconds that the values reach, as tick marks in words; where there are many, 1 alone.
function ticks(values) {
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const steps = high - low > 3 ? [1] : high - low > 2 ? [1, 3] : [1, 2, 5];
  const all = [];
  for (let power = low; power <= high; power++) all.push(...steps.map((step) => step * 10 ** power));
  return { tickmode: "array", tickvals: all, ticktext: all.map((value) => seconds(value).replace(/\.0+(?= )/, "")) };
}

const redraw = () => drawn.forEach((make, node) => show(node, make));

const rd = { metric: data.metrics[0], image: null, log: false };

function rdPlot(metric, small) {
  const image = small ? null : rd.image;
  const shownHere = [...lossy, ...(image === null ? published : [])];
  return {
    traces: shownHere.map((codec) => traceOf(codec, pointsOf(codec, "bpp", metric, image), small)),
    layout: layoutOf({
      x: "Bits per pixel", y: FIGURES[metric].name + (FIGURES[metric].unit && metric.startsWith("psnr") ? ", dB" : ""),
      logX: rd.log, small,
    }),
  };
}

function drawRates() {
  if (!data.metrics.length) return;
  byId("rd").hidden = false;
  const choose = (image) => {
    rd.image = image;
    byId("rd-image").value = image ?? "";
    update();
    document.dispatchEvent(new Event("image"));
  };
  const update = () => {
    show(byId("rd-plot"), () => rdPlot(rd.metric, false));
    byId("rd-caption").textContent = rd.image === null
      ? data.caption
      : `${data.rows.images[rd.image]} alone. Published curves are means over whole sets and are not drawn here.`;
  };
  segments(byId("rd-metric"), data.metrics.map((key) => [key, FIGURES[key].name]), rd.metric, (key) => {
    rd.metric = key;
    update();
    more();
    document.dispatchEvent(new Event("image"));
  });
  fill(byId("rd-image"), [["", "all: the mean"], ...listedImages().map((n) => [n, data.rows.images[n]])]);
  byId("rd-image").addEventListener("change", (event) =>
    choose(event.target.value === "" ? null : Number(event.target.value)));
  byId("rd-log").addEventListener("change", (event) => {
    rd.log = event.target.checked;
    redraw();
  });
  // The other metrics, small; not MS-SSIM twice.
  const apart = (key) => key !== rd.metric && !(key === "ms-ssim-rgb" && data.metrics.includes("ms-ssim-rgb-db"));
  const more = () => {
    byId("rd-more").querySelectorAll(".plot").forEach((node) => drawn.delete(node));
    byId("rd-more").replaceChildren(...data.metrics.filter(apart).map((key) =>
      smallPlot(FIGURES[key].name, () => rdPlot(key, true))));
  };
  update();
  more();
  drawTiles(choose);
}

function smallPlot(title, make) {
  const node = el("div", { class: "plot", role: "figure", "aria-label": title });
  whenNear(node, () => show(node, make));
  return el("div", { class: "card" }, el("h3", {}, title), node);
}

function drawCosts() {
  const kinds = [["encoding_time", "Encoding, per file"], ["decoding_time", "Decoding, per file"], ["peak_memory", "Peak memory"]];
  const plots = (group, xKey, x) => kinds
    .filter(([key]) => group.some((codec) => codec.means[key]?.some(known)))
    .map(([key, title]) => smallPlot(title, () => {
      const traces = group.map((codec) => traceOf(codec, pointsOf(codec, xKey, key, null), true));
      const memory = key === "peak_memory"; // which may be zero
      const layout = layoutOf({ x, y: memory ? "MB" : "", logY: !memory, small: true });
      if (memory) traces.forEach((trace) => { trace.y = trace.y.map((value) => value / 1e6); });
      else Object.assign(layout.yaxis, ticks(traces.flatMap((trace) => trace.y).filter((y) => y > 0)));
      if (memory) layout.yaxis.rangemode = "tozero";
      return { traces, layout };
    }));
  byId("cost-plots").replaceChildren(...plots(lossy, "bpp", "Bits per pixel"));
  byId("cost").hidden = !byId("cost-plots").children.length;
  const lossless = measured.filter((codec) => codec.lossless);
  byId("lossless-plots").replaceChildren(...plots(lossless, "bits_per_sample", "Bits per sub-pixel"));
}

document.addEventListener("theme", redraw);
document.addEventListener("shown", () => drawn.forEach((_, node) =>
  Plotly.restyle(node, { visible: node.data.map((trace) => codecs[trace.meta].shown) })));
