const STOCK_COLUMNS = [
  ["ticker", "Ticker", "", (v) => v],
  ["alpha", "Alpha", "bps a session", (v) => number(v === null ? null : v * 1e4, 2)],
  ["beta", "Beta", "", (v) => number(v, 3)],
  ["tstat", "t", "of beta", (v) => number(v, 2)],
  ["pvalue", "p", "two-sided", (v) => v !== null && v < 0.0001 ? "<0.0001" : number(v, 4)],
  ["rsquared", "R\u00b2", "", (v) => number(v, 3)],
  ["conf_int_lower", "95% low", "of beta", (v) => number(v, 3)],
  ["conf_int_upper", "95% high", "of beta", (v) => number(v, 3)],
  ["n_observations", "n", "sessions", (v) => v === null ? "\u2013" : count(v)],
];

function drawStocks() {
  const table = byId("stocks");
  const head = document.createElement("tr");
  for (const [name, label, unit] of STOCK_COLUMNS) {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (name === "ticker") cell.className = "text";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    if (unit) button.append(Object.assign(document.createElement("small"), { textContent: unit }));
    cell.append(button);
    head.append(cell);
  }
  table.tHead.replaceChildren(head);
  const stocks = data.stocks;
  const rows = stocks.ticker.map((_, i) => {
    const row = document.createElement("tr");
    for (const [name, , , show] of STOCK_COLUMNS) {
      const value = stocks[name][i];
      const cell = document.createElement("td");
      if (name === "ticker") cell.className = "text";
      if (value !== null) cell.dataset.v = value;
      const strong = name === "tstat" && value !== null && Math.abs(value) > BAR;
      if (strong) cell.append(Object.assign(document.createElement("b"), { textContent: show(value) }));
      else cell.textContent = show(value);
      row.append(cell);
    }
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
  byId("stocks-title").textContent = `Stocks (${count(rows.length)})`;
  sortRows(table, 3, false, false);
  filterStocks();
}

function filterStocks() {
  const wanted = byId("stock-filter").value.trim().toLowerCase();
  for (const row of byId("stocks").tBodies[0].rows) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  }
}

function drawGrowth() {
  const sides = [["high", "high", "--c0", "solid", 1.3], ["low", "low", "--c1", "dot", 1.5], ["spread", "high \u2212 low", "--ink", "solid", 2]];
  const all = sides.flatMap(([key]) => data[key]).filter((v) => v !== null);
  const log = all.every((v) => v > 0);
  const ratio = all.reduce((a, b) => Math.max(a, b), 0) / all.reduce((a, b) => Math.min(a, b), Infinity);
  const ticks = ratio < 3 ? {} : { dtick: ratio > 12 ? "D2" : "D1" };
  byId("growth-note").textContent = log ? "Log scale." : "Linear scale: a portfolio lost everything.";
  draw("chart-growth", sides.map(([key, name, line, dash, width]) => ({
    type: "scatter", mode: "lines", name, x: data.dates, y: data[key], connectgaps: false,
    line: { color: colour(line), dash, width }, hovertemplate: "%{y:.4g}",
  })), {
    showlegend: true, hovermode: "x unified", margin: { l: 48, r: 12, t: 34, b: 34 },
    xaxis: { type: "date", hoverformat: "%Y-%m-%d" },
    yaxis: log ? { type: "log", tickformat: "~g", ...ticks } : { type: "linear" },
  }, all.length ? "" : "No session has a return of this factor.");
}

function drawIc() {
  const some = data.ic_month.some((v) => v !== null);
  draw("chart-ic", [
    {
      type: "bar", name: "monthly mean", x: data.months, y: data.ic_month, marker: { color: colour("--c5"), opacity: 0.75 },
      hovertemplate: "%{x|%b %Y}: %{y:.4f}<extra></extra>",
    },
    {
      type: "scatter", mode: "lines", name: "running sum", x: data.dates, y: data.ic_sum, yaxis: "y2", connectgaps: false,
      line: { color: colour("--ink"), width: 1.6 }, hovertemplate: "%{x|%Y-%m-%d}: sum %{y:.3f}<extra></extra>",
    },
  ], {
    showlegend: true, margin: { l: 48, r: 44, t: 34, b: 34 }, bargap: 0.15, xaxis: { type: "date" },
    yaxis: { title: { text: "monthly mean" } },
    yaxis2: { overlaying: "y", side: "right", tickmode: "auto", nticks: 6, showgrid: false, zeroline: false, title: { text: "running sum" } },
  }, some ? "" : "No session has a rank IC of this factor.");
}

function drawQuantiles() {
  const q = data.quantiles;
  const means = q.mean_bps.filter((v) => v !== null);
  const middle = means.reduce((a, b) => a + b, 0) / means.length;
  draw("chart-quantiles", [{
    type: "bar", x: q.quantile.map(String), y: q.mean_bps, customdata: q.n, marker: { color: colour("--c0") },
    error_y: { type: "data", array: q.error_bps.map((v) => v ?? 0), color: colour("--ink"), thickness: 1.1, width: 5 },
    hovertemplate: "quantile %{x}: %{y:.2f} bps a session<br>%{customdata:,} sessions<extra></extra>",
  }], {
    shapes: [{ ...level(middle, "y"), line: { color: colour("--ink"), width: 1, dash: "dot" } }], bargap: 0.35,
    xaxis: { type: "category", title: { text: "quantile", standoff: 6 } }, yaxis: { title: { text: "bps a session" } },
  }, means.length ? "" : "No session has quantile returns of this factor.");
}

function drawHistogram() {
  const values = data.stocks.tstat.filter((v) => v !== null);
  const beyond = values.filter((v) => Math.abs(v) > BAR).length;
  byId("histogram-note").textContent = values.length ? `${count(beyond)} of ${count(values.length)} stocks lie outside.` : "";
  draw("chart-histogram", [{
    type: "histogram", x: values, nbinsx: 50, marker: { color: colour("--c0"), line: { width: 0.5, color: colour("--paper") } },
    hovertemplate: "t %{x}: %{y} stocks<extra></extra>",
  }], {
    shapes: [BAR, -BAR].map((bar) => ({ ...level(bar, "x"), line: { color: colour("--ink"), width: 1.2, dash: "dash" } })), bargap: 0,
    xaxis: { title: { text: "t", standoff: 6 } }, yaxis: { title: { text: "stocks" } },
  }, values.length ? "" : "No stock has a regression on this factor.");
}

function drawDecay() {
  const { horizon, mean, error } = data.decay;
  const known = horizon.map((_, i) => i).filter((i) => mean[i] !== null);
  const x = known.map((i) => horizon[i]), y = known.map((i) => mean[i]);
  const banded = known.filter((i) => error[i] !== null);
  const edge = (sign) => ({
    type: "scatter", mode: "lines", x: banded.map((i) => horizon[i]), y: banded.map((i) => mean[i] + sign * error[i]),
    line: { width: 0 }, hoverinfo: "skip",
  });
  draw("chart-decay", [
    edge(-1), { ...edge(1), fill: "tonexty", fillcolor: "rgba(128,160,190,0.28)" },
    { type: "scatter", mode: "lines+markers", x, y, line: { color: colour("--c0"), width: 1.8 },
      hovertemplate: "%{x} sessions: %{y:.4f}<extra></extra>" },
  ], {
    xaxis: { type: "log", tickmode: "array", tickvals: x, ticktext: x.map(String), title: { text: "sessions", standoff: 6 } },
    yaxis: { title: { text: "mean rank IC" }, zeroline: true },
  }, known.length ? "" : "There is no evidence by horizon.");
}

function drawEvent() {
  const { offset, top, bottom } = data.event;
  const some = [...top, ...bottom].some((v) => v !== null);
  const side = (name, y, line, dash) => ({
    type: "scatter", mode: "lines", name, x: offset, y, connectgaps: false, line: { color: colour(line), width: 1.8, dash },
    hovertemplate: "%{x} sessions: %{y:.3f}%",
  });
  draw("chart-event", [side("highest", top, "--c0", "solid"), side("lowest", bottom, "--c1", "dot")], {
    showlegend: true, margin: { l: 48, r: 12, t: 34, b: 34 },
    shapes: [{ ...level(0, "x"), line: { color: colour("--ink"), width: 1, dash: "dash" } }],
    xaxis: { title: { text: "sessions from the sort", standoff: 6 } }, yaxis: { title: { text: "%" }, zeroline: true },
  }, some ? "" : "There are no curves of this factor.");
}

function drawTwo(id, left, right, empty) {
  const some = [...left.y, ...right.y].some((v) => v !== null);
  const both = right.y.some((v) => v !== null);
  draw(id, [
    { type: "scatter", mode: "lines", name: left.name, x: data.months, y: left.y, line: { color: colour("--c0"), width: 1.6 },
      hovertemplate: "%{x|%b %Y}: %{y:.4g}" },
    ...(both ? [{ type: "scatter", mode: "lines", name: right.name, x: data.months, y: right.y, yaxis: "y2",
      line: { color: colour("--c1"), width: 1.6, dash: "dot" }, hovertemplate: "%{x|%b %Y}: %{y:.4g}" }] : []),
  ], {
    showlegend: true, margin: { l: 48, r: 44, t: 34, b: 34 }, xaxis: { type: "date" },
    yaxis: { title: { text: left.name }, rangemode: left.floor }, ...(both ? { yaxis2: {
      overlaying: "y", side: "right", showgrid: false, zeroline: false, title: { text: right.name }, nticks: 6, tickmode: "auto",
    } } : {}),
  }, some ? "" : empty);
}

const scaled = (values, by) => values.map((v) => v === null ? null : v * by);

function drawCharts() {
  drawGrowth();
  drawIc();
  drawQuantiles();
  drawDecay();
  drawEvent();
  drawTwo("chart-turnover", { name: "turnover, %", y: scaled(data.turnover, 100), floor: "tozero" },
    { name: "rank autocorrelation", y: data.autocorrelation }, "No session has a turnover of this factor.");
  drawTwo("chart-coverage", { name: "coverage, %", y: scaled(data.coverage, 100), floor: "tozero" },
    { name: "capacity, millions", y: scaled(data.capacity, 1e-6) }, "No session has a coverage of this factor.");
  drawHistogram();
}

run(() => {
  drawStocks();
  byId("stock-filter").addEventListener("input", filterStocks);
}, drawCharts);
