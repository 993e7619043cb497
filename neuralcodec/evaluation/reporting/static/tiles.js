// Rows by image, and a small curve plot of every image, drawn without plotly: there may be hundreds.
const columns = data.rows?.columns ?? [];
const asObject = (row) => Object.fromEntries([
  ["codec", row[0]], ["image", row[1]], ["quality", row[2]], ...columns.map((key, n) => [key, row[n + 3]]),
]);
const rowsBy = new Map(); // "codec/image" -> rows
for (const row of data.rows?.rows ?? []) {
  const key = `${row[0]}/${row[1]}`;
  if (!rowsBy.has(key)) rowsBy.set(key, []);
  rowsBy.get(key).push(row);
}
const rowsOfImage = (codec, image) => (rowsBy.get(`${codec.id}/${image}`) ?? []).map(asObject);
const listedImages = () => [...new Set((data.rows?.rows ?? []).map((row) => row[1]))].sort((a, b) => a - b);

const TILE = { width: 148, height: 84, page: 24 };

function drawTiles(choose) {
  const images = listedImages();
  if (images.length < 2) return;
  byId("each").hidden = false;
  const tiles = [];
  const update = () => {
    const range = rangeOf(images.slice(0, tiles.length));
    tiles.forEach(([image, tile]) => {
      tile.setAttribute("aria-pressed", rd.image === image);
      if (tile.isNear) tile.querySelector("svg").replaceChildren(...curvesOf(image, range));
    });
  };
  const more = () => {
    for (const image of images.slice(tiles.length, tiles.length + TILE.page)) {
      const picture = svg("svg", { viewBox: `0 0 ${TILE.width} ${TILE.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
      const tile = el("button", {
        type: "button", class: "tile", "aria-pressed": false,
        onclick() {
          choose(rd.image === image ? null : image);
          if (rd.image !== null) byId("rd").scrollIntoView();
        },
      }, picture, el("span", { class: "name" }, data.rows.images[image]));
      tiles.push([image, tile]);
      byId("each-tiles").append(tile);
      whenNear(tile, () => {
        tile.isNear = true;
        picture.replaceChildren(...curvesOf(image, rangeOf(images.slice(0, tiles.length))));
      });
    }
    byId("each-more").hidden = tiles.length >= images.length;
  };
  byId("each-more").addEventListener("click", () => { more(); update(); });
  more();
  for (const kind of ["image", "shown", "theme"]) document.addEventListener(kind, update);
}

// All tiles share their axes, so that one sees which images are hard.
function rangeOf(images) {
  const xs = [], ys = [];
  for (const image of images) for (const codec of lossy) for (const row of rowsOfImage(codec, image)) {
    if (known(row.bpp) && row.bpp > 0 && known(row[rd.metric])) {
      xs.push(Math.log(row.bpp));
      ys.push(row[rd.metric]);
    }
  }
  const ends = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
  return { x: ends(xs), y: ends(ys) };
}

function curvesOf(image, { x, y }) {
  const place = (value, [low, high], size) => 4 + ((value - low) / (high - low || 1)) * (size - 8);
  return lossy.filter((codec) => codec.shown).map((codec) => {
    const points = rowsOfImage(codec, image)
      .filter((row) => row.bpp > 0 && known(row[rd.metric])).sort((a, b) => a.bpp - b.bpp)
      .map((row) => `${place(Math.log(row.bpp), x, TILE.width).toFixed(1)},${(TILE.height - place(row[rd.metric], y, TILE.height)).toFixed(1)}`);
    return svg("polyline", {
      points: points.join(" "), fill: "none", stroke: colour(codec), "stroke-width": 1.6,
      "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke",
    });
  });
}
