const typeColour = (type) => colour(`--c${data.types.indexOf(type) % 8}`);
// Eight colours, then the same ones on another shape.
const typeSymbol = (type) => ["circle", "square", "diamond"][Math.floor(data.types.indexOf(type) / 8) % 3];

// ---- the table's filters --------------------------------------------------------------------------------------
function left() {
  const text = byId("filter-text").value.trim().toLowerCase();
  const [type, gate] = [byId("filter-type").value, byId("filter-gate").value];
  return data.factors.filter((factor, i) => {
    const row = rows[i];
    const gateOf = row.cells[2].dataset.v ?? "";
    return (!type || factor.type === type) && (!gate || gateOf === gate)
      && (!text || factor.name.toLowerCase().includes(text) || factor.type.toLowerCase().includes(text));
  });
}

let rows = [];
let waiting = 0;

function filterRows() {
  const shown = new Set(left());
  data.factors.forEach((factor, i) => { rows[i].hidden = !shown.has(factor); });
  byId("filter-count").textContent = `${count(shown.size)} of ${count(data.factors.length)}`;
  clearTimeout(waiting);
  // The table answers each key at once, the charts when typing pauses.
  waiting = setTimeout(() => drawFiltered([...shown]), 120);
}

// ---- charts ---------------------------------------------------------------------------------------------------
const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemsizing: "constant" };

function drawIc(factors) {
  const known = factors.filter((f) => f.ic !== null).sort((a, b) => b.ic - a.ic);
  const place = new Map(known.map((f, i) => [f, i + 1]));
  const traces = data.types.map((type) => {
    const own = known.filter((f) => f.type === type);
    return {
      type: "scatter", mode: "markers", name: plain(type), x: own.map((f) => place.get(f)), y: own.map((f) => f.ic),
      text: own.map((f) => plain(f.name)), marker: { color: typeColour(type), symbol: typeSymbol(type), size: known.length > 100 ? 5 : 7 },
      error_y: { type: "data", array: own.map((f) => f.ic_error ?? 0), color: typeColour(type), thickness: 1, width: 0 },
      hovertemplate: "<b>%{text}</b><br>%{y:.4f}<extra>" + plain(type) + "</extra>",
    };
  }).filter((trace) => trace.x.length);
  draw("chart-ic", traces, {
    showlegend: true, legend, margin: { l: 48, r: 12, t: 40, b: 40 }, hovermode: "closest",
    xaxis: { title: { text: "place", standoff: 6 }, zeroline: false }, yaxis: { title: { text: "mean rank IC" }, zeroline: true },
  }, known.length ? "" : "No factor has a rank IC.");
}

// One trace a type, its factors' lines with a gap between them: 300 traces would be slow.
function drawDecay(factors) {
  const known = factors.filter((f) => f.decay.mean.some((v) => v !== null));
  const ticks = [...new Set(known.flatMap((f) => f.decay.horizon))].sort((a, b) => a - b);
  const traces = data.types.map((type) => {
    const own = known.filter((f) => f.type === type);
    return {
      type: "scatter", mode: "lines+markers", name: plain(type), connectgaps: false,
      x: own.flatMap((f) => [...f.decay.horizon, null]), y: own.flatMap((f) => [...f.decay.mean, null]),
      text: own.flatMap((f) => [...f.decay.horizon.map(() => plain(f.name)), ""]),
      line: { color: typeColour(type), width: 1.1 }, marker: { size: 4, symbol: typeSymbol(type) }, opacity: 0.8,
      hovertemplate: "<b>%{text}</b><br>%{x} sessions: %{y:.4f}<extra>" + plain(type) + "</extra>",
    };
  }).filter((trace) => trace.x.length);
  draw("chart-decay", traces, {
    showlegend: true, legend, margin: { l: 48, r: 12, t: 40, b: 40 }, hovermode: "closest",
    xaxis: { type: "log", tickmode: "array", tickvals: ticks, ticktext: ticks.map(String), title: { text: "sessions", standoff: 6 } },
    yaxis: { title: { text: "mean rank IC" }, zeroline: true },
  }, known.length ? "" : "There is no evidence by horizon.");
}

function drawBoxes(column, id, shapes, title) {
  const traces = data.boxes[column].flatMap((box, i) => {
    if (!box.n) return [];
    const type = data.types[i], name = plain(type);
    const [low, first, middle, third, high] = box.box.map((v) => [v]);
    return [{
      type: "box", name, x: [name], lowerfence: low, q1: first, median: middle, q3: third, upperfence: high, width: 0.5,
      marker: { color: typeColour(type) }, line: { width: 1.4 }, hoverinfo: "y",
    }, {
      type: "scatter", mode: "markers", name, x: box.y.map(() => name), y: box.y, text: box.text.map(plain),
      marker: { color: typeColour(type), size: 3, opacity: 0.55 }, hovertemplate: "%{text}: %{y:.3g}<extra></extra>",
    }];
  });
  draw(id, traces, { shapes, hovermode: "closest", xaxis: { type: "category" }, yaxis: { title: { text: title } } },
    traces.length ? "" : "No stock has a regression.");
}

// Sides for the bubbles' names, first come first served; a name that fits nowhere is left to the hover.
function placeNames(shown, width, height) {
  const span = (values, pixels) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (v) => high > low ? pixels * (0.07 + 0.86 * (v - low) / (high - low)) : pixels / 2;
  };
  const [toX, toY] = [span(shown.map((f) => f.avg_beta), width), span(shown.map((f) => f.avg_tstat), height)];
  const taken = shown.map((f) => ({ l: toX(f.avg_beta) - 9, r: toX(f.avg_beta) + 9, b: toY(f.avg_tstat) - 9, t: toY(f.avg_tstat) + 9 }));
  return shown.map((f, i) => {
    const [x, y, wide] = [toX(f.avg_beta), toY(f.avg_tstat), f.name.length * 7];
    const sides = {
      "top center": [x - wide / 2, y + 14], "bottom center": [x - wide / 2, y - 28],
      "middle right": [x + 15, y - 7], "middle left": [x - 15 - wide, y - 7],
    };
    for (const [side, [l, b]] of Object.entries(sides)) {
      const box = { l, r: l + wide, b, t: b + 14 };
      if (box.l < 0 || box.r > width || taken.some((o, k) => k !== i && box.l < o.r && o.l < box.r && box.b < o.t && o.b < box.t)) continue;
      taken.push(box);
      return { side, name: plain(f.name) };
    }
    return { side: "top center", name: "" };
  });
}

function drawBubbles(factors) {
  const shown = factors.filter((f) => f.avg_beta !== null && f.avg_tstat !== null && f.avg_rsquared !== null);
  const largest = Math.max(...shown.map((f) => f.avg_rsquared), 1e-12);
  const wide = byId("chart-bubble").clientWidth;
  const labels = new Map(placeNames(wide > 600 && shown.length <= 60 ? shown : [], wide - 60, 280).map((label, i) => [shown[i], label]));
  const widest = wide > 600 ? 30 : 20;
  const traces = data.types.map((type) => {
    const own = shown.filter((f) => f.type === type);
    return {
      type: "scatter", mode: "markers+text", name: plain(type),
      x: own.map((f) => f.avg_beta), y: own.map((f) => f.avg_tstat), text: own.map((f) => labels.get(f)?.name ?? ""),
      textposition: own.map((f) => labels.get(f)?.side ?? "top center"), hovertext: own.map((f) => plain(f.name)), textfont: { size: 11, color: colour("--muted") }, cliponaxis: false,
      customdata: own.map((f) => f.avg_rsquared),
      marker: {
        size: own.map((f) => f.avg_rsquared), sizemode: "area", sizeref: (2 * largest) / widest ** 2, sizemin: 4,
        color: typeColour(type), opacity: 0.72, symbol: typeSymbol(type),
        line: { width: 1, color: colour("--paper") },
      },
      hovertemplate: "<b>%{hovertext}</b><br>beta %{x:.3f}, t %{y:.2f}, R\u00b2 %{customdata:.3f}<extra>" + plain(type) + "</extra>",
    };
  }).filter((trace) => trace.x.length);
  byId("bubble-note").textContent = shown.length < factors.length
    ? `${shown.length} of ${factors.length} factors have regressions.` : "";
  draw("chart-bubble", traces, {
    showlegend: true, shapes: [level(BAR, "y"), level(-BAR, "y")], margin: { l: 48, r: 12, t: 40, b: 40 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemsizing: "constant" },
    xaxis: { title: { text: "average beta", standoff: 8 }, zeroline: true },
    yaxis: { title: { text: "average t" } },
  }, shown.length ? "" : "No factor has a regression.");
}

function drawHeat() {
  const heat = data.heat;
  if (!heat) return draw("chart-heat", [], {}, "There are no correlations.");
  const n = heat.names.length;
  const places = heat.names.map((_, i) => i);
  // Two factors of different types may share a name; places do not.
  const text = heat.names.map((name, i) => plain(`${heat.types[i]}/${name}`));
  const some = n <= 60 && byId("chart-heat").clientWidth > 600;
  byId("heat-note").textContent = `${count(n)} factors in ${count(new Set(heat.clusters).size)} clusters; a line parts two clusters.`;
  const axis = {
    showgrid: false, zeroline: false, range: [-0.5, n - 0.5], tickmode: "array",
    tickvals: some ? places : [], ticktext: some ? heat.names.map(plain) : [], tickfont: { size: 9 },
  };
  const cuts = places.slice(1).filter((i) => heat.clusters[i] !== heat.clusters[i - 1]);
  const cut = (i, along) => ({
    type: "line", line: { color: colour("--ink"), width: 0.5 },
    ...(along === "x" ? { x0: i - 0.5, x1: i - 0.5, y0: -0.5, y1: n - 0.5 } : { y0: i - 0.5, y1: i - 0.5, x0: -0.5, x1: n - 0.5 }),
  });
  return draw("chart-heat", [{
    type: "heatmap", z: heat.hundredths.map((line) => line.map((v) => v === null ? null : v / 100)), x: places, y: places,
    zmin: -1, zmax: 1, colorscale: [[0, "#b2182b"], [0.25, "#f4a582"], [0.5, "#f7f7f7"], [0.75, "#92c5de"], [1, "#2166ac"]],
    customdata: text.map((a) => text.map((b) => `${a}<br>${b}`)), hoverongaps: false,
    hovertemplate: "%{customdata}: %{z:.2f}<extra></extra>", colorbar: { thickness: 10, len: 0.6, outlinewidth: 0 },
  }], {
    shapes: [...cuts.map((i) => cut(i, "x")), ...cuts.map((i) => cut(i, "y"))], margin: { l: 12, r: 12, t: 12, b: 12 },
    xaxis: { ...axis, tickangle: -90 }, yaxis: { ...axis, range: [n - 0.5, -0.5] },
  }, "");
}

function drawFiltered(factors) {
  drawIc(factors);
  drawDecay(factors);
  drawBubbles(factors);
}

function drawCharts() {
  drawFiltered(left());
  drawBoxes("tstat", "chart-box-tstat", [level(BAR, "y"), level(-BAR, "y")], "t");
  drawBoxes("rsquared", "chart-box-rsquared", [], "R\u00b2");
  drawHeat();
}

run(() => {
  rows = [...byId("summary").tBodies[0].rows];
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const kind of ["input", "change"]) byId("filters").addEventListener(kind, filterRows);
  filterRows();
  clearTimeout(waiting);
}, drawCharts);
