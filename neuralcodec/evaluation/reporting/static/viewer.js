// An original beside its reconstructions: a slider between two pictures, both side by side, or their difference.
const viewing = { image: 0, target: 0, left: -1, right: 0, mode: "slider", zoom: 1, gain: 8, cut: 50 };
const MODES = [["slider", "Slider"], ["pair", "Side by side"], ["difference", "Difference"]];

function drawViewer() {
  const shown = JSON.parse(byId("pictures").textContent);
  const box = byId("viewer");
  const notes = shown.notes.map((note) => el("p", { class: "caption" }, note));
  if (!shown.images.length) {
    box.replaceChildren(...notes);
    return;
  }
  viewing.target = Math.floor((shown.images[0].targets.length - 1) / 2);
  const parts = {
    image: el("select", { "aria-label": "Image" }), target: el("div", { class: "segments", "aria-label": "Rate" }),
    mode: el("div", { class: "segments", "aria-label": "View" }), zoom: el("div", { class: "segments", "aria-label": "Zoom" }),
    left: el("select", { "aria-label": "Left picture" }), gain: el("input", { type: "range", min: 1, max: 32, "aria-label": "Gain of the difference" }),
    gainText: el("output"), frame: el("div", { class: "frame" }), sides: el("div", { class: "sides" }),
    options: el("div", { class: "options" }), caption: el("p", { class: "caption" }),
  };
  const gain = el("label", { class: "field" }, "Gain ", parts.gain, parts.gainText);
  box.replaceChildren(
    el("div", { class: "controls" }, shown.images.length > 1 ? el("label", { class: "field" }, "Image ", parts.image) : null,
      parts.target, parts.mode, parts.zoom, el("label", { class: "field" }, "Left ", parts.left), gain),
    el("div", { class: "card" }, parts.frame, parts.sides, parts.caption), parts.options, ...notes,
  );
  const view = { shown, parts, gain };
  fill(parts.image, shown.images.map((image, number) => [number, image.name]), 0);
  parts.image.addEventListener("change", () => {
    viewing.image = Number(parts.image.value);
    viewing.target = Math.min(viewing.target, imageShown(view).targets.length - 1);
    updateViewer(view);
  });
  parts.left.addEventListener("change", () => { viewing.left = Number(parts.left.value); updateViewer(view); });
  parts.gain.value = viewing.gain;
  parts.gain.addEventListener("input", () => { viewing.gain = Number(parts.gain.value); drawStage(view); });
  for (const [part, options] of [["mode", MODES], ["zoom", [[1, "Fit"], [2, "2×"], [4, "4×"]]]]) {
    parts[part].setAttribute("role", "radiogroup");
    segments(parts[part], options, viewing[part], (value) => { viewing[part] = value; drawStage(view); });
  }
  updateViewer(view);
}

const imageShown = ({ shown }) => shown.images[viewing.image];
const pictures = (view) => imageShown(view).targets[viewing.target].pictures;
const pictureAt = (view, number) => (number < 0 ? { codec: "Original", source: imageShown(view).original } : pictures(view)[number]);

function aboutPicture(picture, count = 2) {
  if (!known(picture.bpp)) return "";
  const metrics = Object.entries(picture.metrics).filter(([key, value]) => key in FIGURES && known(value) && key !== "max-error");
  return [
    `${fixed(picture.bpp, 3)} bpp`, ...metrics.slice(0, count).map(([key, value]) => `${FIGURES[key].short} ${withUnit(key, value)}`),
    count > 1 && known(picture.quality) ? `quality ${Number(picture.quality.toPrecision(5))}` : null,
  ].filter(Boolean).join(" · ");
}

function updateViewer(view) {
  const { parts } = view;
  const image = imageShown(view);
  parts.target.setAttribute("role", "radiogroup");
  segments(parts.target, image.targets.map(({ label }, number) => [number, `≈ ${label}`]), viewing.target, (number) => {
    viewing.target = number;
    updateViewer(view);
  });
  viewing.right = Math.min(viewing.right, pictures(view).length - 1);
  viewing.left = Math.min(viewing.left, pictures(view).length - 1);
  fill(parts.left, [[-1, "Original"], ...pictures(view).map((picture, number) => [number, picture.codec])], viewing.left);
  parts.options.replaceChildren(...pictures(view).map((picture, number) => {
    const codec = byName(picture.codec);
    return el("button", {
      type: "button", "aria-pressed": number === viewing.right,
      onclick(event) {
        viewing.right = number;
        for (const button of parts.options.children) button.setAttribute("aria-pressed", button === event.currentTarget);
        drawStage(view);
      },
    }, el("b", {}, icon(codec), ` ${picture.codec}`), el("span", {}, aboutPicture(picture, 1)));
  }));
  parts.caption.textContent = [image.crop && `Shown: ${image.crop}.`, image.note && `${image.note}.`].filter(Boolean).join(" ");
  drawStage(view);
}

function drawStage(view) {
  const { parts, gain } = view;
  const [left, right] = [pictureAt(view, viewing.left), pictureAt(view, viewing.right)];
  const image = imageShown(view);
  gain.hidden = viewing.mode !== "difference";
  parts.gainText.textContent = `${viewing.gain}×`;
  const stages = viewing.mode === "pair" ? pairOf(left, right) : viewing.mode === "slider" ? sliderOf(left, right) : differenceOf(left, right);
  parts.frame.replaceChildren(stages);
  // Small images are enlarged by whole numbers, others shown sample for pixel at most, or as zoomed.
  const least = Math.max(1, Math.floor(Math.min(parts.frame.clientWidth / image.width, 640 / image.height)));
  const width = image.width * least * (viewing.mode === "pair" ? 1 : viewing.zoom);
  parts.frame.querySelectorAll(".stage").forEach((stage) => {
    stage.classList.toggle("pixels", least > 1 || viewing.zoom > 1);
    stage.style.width = viewing.zoom > 1 ? `${width * (viewing.mode === "pair" ? viewing.zoom : 1)}px` : `min(100%, ${width}px)`;
  });
  const side = (picture) => el("div", {}, el("b", {}, picture.codec), el("span", {}, aboutPicture(picture)));
  parts.sides.replaceChildren(side(left), side(right));
}

const pictureOf = (picture) => el("img", { src: picture.source, alt: `${picture.codec} ${aboutPicture(picture)}`, draggable: "false" });

function pairOf(left, right) {
  return el("div", { class: "pair" }, ...[left, right].map((picture) =>
    el("figure", {}, el("div", { class: "frame" }, el("div", { class: "stage" }, pictureOf(picture))))));
}

function sliderOf(left, right) {
  const over = el("div", { class: "over" }, pictureOf(right));
  const handle = el("div", {
    class: "handle", role: "slider", tabindex: 0, "aria-label": `Where ${right.codec} begins`,
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-orientation": "horizontal",
  });
  const stage = el("div", { class: "stage" }, pictureOf(left), over, handle);
  const cut = (percent) => {
    viewing.cut = Math.max(0, Math.min(100, percent));
    over.style.clipPath = `inset(0 0 0 ${viewing.cut}%)`;
    handle.style.left = `${viewing.cut}%`;
    handle.setAttribute("aria-valuenow", Math.round(viewing.cut));
  };
  const follow = (event) => {
    const { left: start, width } = stage.getBoundingClientRect();
    cut((100 * (event.clientX - start)) / width);
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    follow(event);
    handle.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
  handle.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: viewing.cut - 2, ArrowRight: viewing.cut + 2, Home: 0, End: 100, PageDown: viewing.cut - 10, PageUp: viewing.cut + 10 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    cut(to);
  });
  cut(viewing.cut);
  return stage;
}

function differenceOf(left, right) {
  const canvas = el("canvas", { role: "img", "aria-label": `Difference of ${left.codec} and ${right.codec}, ${viewing.gain} times` });
  const amount = viewing.gain;
  Promise.all([left, right].map((picture) => samplesOf(picture.source))).then(([a, b]) => {
    canvas.width = a.width;
    canvas.height = a.height;
    const out = new ImageData(a.width, a.height);
    for (let n = 0; n < out.data.length; n++) {
      out.data[n] = n % 4 === 3 ? 255 : amount * Math.abs(a.data[n] - b.data[n]); // the array clamps
    }
    canvas.getContext("2d").putImageData(out, 0, 0);
    canvas.dataset.drawn = amount;
  });
  return el("div", { class: "stage" }, canvas);
}

const decoded = new Map();
function samplesOf(source) {
  if (!decoded.has(source)) {
    const picture = new Image();
    picture.src = source;
    decoded.set(source, picture.decode().then(() => {
      const canvas = el("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(picture, 0, 0);
      return context.getImageData(0, 0, canvas.width, canvas.height);
    }));
  }
  return decoded.get(source);
}

// Called when the pictures, which stand last in the file, have been read.
function drawLate() {
  if (!data.hasPictures) return;
  byId("look").hidden = false;
  whenNear(byId("viewer"), drawViewer);
}
