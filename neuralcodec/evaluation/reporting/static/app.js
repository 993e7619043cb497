// Puts the page together: what is seen first is drawn first, the rest when it comes near.
function drawFacts() {
  byId("warnings").replaceChildren(...data.warnings.map((text) => el("div", { class: "warning" }, text)));
  const list = (pairs) => pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  byId("facts-list").replaceChildren(...list(data.facts.shared));
  byId("facts-list").parentElement.hidden = !data.facts.shared.length;
  const groups = [...data.facts.codecs];
  if (data.facts.published.length) groups.push(["Published curves: sources", data.facts.published]);
  byId("facts-codecs").replaceChildren(...groups.map(([name, pairs]) =>
    el("details", {}, el("summary", {}, name), el("div", { class: "card" }, el("dl", {}, ...list(pairs))))));
}

function drawHeader() {
  byId("eyebrow").textContent = data.eyebrow;
  byId("headline").textContent = data.headline;
  byId("lead").textContent = data.lead;
  byId("cards").replaceChildren(...data.cards.map(({ label, value, detail }) =>
    el("div", {}, el("div", { class: "label" }, label), el("div", { class: "value" }, value), el("div", { class: "detail" }, detail))));
}

// "ready" is when the first screen is drawn and the browser has nothing more to do.
function announceReady() {
  requestAnimationFrame(() => requestIdleCallback(() => {
    performance.mark("ready");
    document.documentElement.dataset.ready = Math.round(performance.now());
  }));
}

bindThemeButton();
byId("footer").textContent = data.footer;
drawHeader();
drawLegend();
drawLossless();
drawRates();
drawBd();
drawBreakEven();
drawFacts();
drawCosts();
whenNear(byId("rows"), drawRows);
announceReady();
