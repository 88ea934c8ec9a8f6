"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const BAR = 1.96;
  let data = null;
  let current = 0;

  // Plotly reads a little HTML in its texts; names are data and must not be read so.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const number = (value, digits) => value === null ? "\u2013" : value.toFixed(digits).replace("-", "\u2212");
  const count = (value) => value.toLocaleString("en-US");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const typeColour = (type) => colour(`--c${data.types.indexOf(type) % 8}`);
  // Eight colours, then the same ones on another shape.
  const typeSymbol = (type) => ["circle", "square", "diamond"][Math.floor(data.types.indexOf(type) / 8) % 3];

  async function unpack(id) {
    const packed = atob(byId(id).textContent);
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  // ---- tables -------------------------------------------------------------------------------------------------
  function sortable(table) {
    table.tHead.addEventListener("click", (event) => {
      const heading = event.target.closest("th");
      if (!heading) return;
      const text = heading.classList.contains("text");
      const before = heading.getAttribute("aria-sort");
      const ascending = before ? before === "descending" : text;
      sortRows(table, heading.cellIndex, text, ascending);
    });
  }

  function sortRows(table, column, text, ascending) {
    const body = table.tBodies[0];
    const key = (row) => row.cells[column].dataset.v;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      const order = text ? x.localeCompare(y, "en") : Number(x) - Number(y);
      return ascending ? order : -order;
    });
    body.append(...rows);
    for (const heading of table.tHead.rows[0].cells) heading.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

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

  function drawStocks(factor) {
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
    const stocks = factor.stocks;
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

  // ---- charts -------------------------------------------------------------------------------------------------
  function layout(extra) {
    const axis = {
      gridcolor: colour("--faint"), linecolor: colour("--rule"), zerolinecolor: colour("--muted"), zerolinewidth: 1,
      tickcolor: colour("--rule"), automargin: true, title: { standoff: 8 },
    };
    const base = {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 48, r: 12, t: 12, b: 34 }, showlegend: false, separators: ".,",
      hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--rule"), font: { color: colour("--ink") } },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
    };
    const merged = { ...base, ...extra };
    for (const name of ["xaxis", "yaxis", "yaxis2"]) {
      if (name !== "yaxis2" || extra[name]) merged[name] = { ...axis, ...extra[name] };
    }
    return merged;
  }

  const level = (value, along) => ({
    type: "line", xref: along === "y" ? "paper" : "x", yref: along === "y" ? "y" : "paper",
    ...(along === "y" ? { x0: 0, x1: 1, y0: value, y1: value } : { x0: value, x1: value, y0: 0, y1: 1 }),
    line: { color: colour("--muted"), width: 1, dash: "dash" },
  });

  function draw(id, traces, extra, emptyReason) {
    const box = byId(id);
    box.classList.toggle("empty", Boolean(emptyReason));
    if (emptyReason) {
      Plotly.purge(box);
      box.textContent = emptyReason;
      return;
    }
    if (!box.classList.contains("js-plotly-plot")) box.replaceChildren();
    Plotly.react(box, traces, layout(extra), { responsive: true, displaylogo: false, displayModeBar: false });
  }

  function drawBoxes(column, id, shapes, title) {
    const traces = data.types.map((type) => {
      const values = [], names = [];
      for (const factor of data.factors) {
        if (factor.type !== type) continue;
        factor.stocks[column].forEach((value, i) => {
          if (value === null) return;
          values.push(value);
          names.push(plain(`${factor.stocks.ticker[i]}, ${factor.name}`));
        });
      }
      return {
        type: "box", name: plain(type), x: values.map(() => plain(type)), y: values, text: names,
        boxpoints: "outliers", marker: { color: typeColour(type), size: 3, opacity: 0.55 }, line: { width: 1.4 },
        hovertemplate: "%{text}: %{y:.3g}<extra></extra>", hoverlabel: { namelength: -1 },
      };
    }).filter((trace) => trace.y.length);
    draw(id, traces, { shapes, xaxis: { type: "category" }, yaxis: { title: { text: title } } },
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

  function drawBubbles() {
    const shown = data.factors.filter((f) => f.avg_beta !== null && f.avg_tstat !== null && f.avg_rsquared !== null);
    const largest = Math.max(...shown.map((f) => f.avg_rsquared), 1e-12);
    const wide = byId("chart-bubble").clientWidth;
    const labels = new Map(placeNames(wide > 600 ? shown : [], wide - 60, 280).map((label, i) => [shown[i], label]));
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
    byId("bubble-note").textContent = shown.length < data.factors.length
      ? `${shown.length} of ${data.factors.length} factors have regressions.` : "";
    draw("chart-bubble", traces, {
      showlegend: true, shapes: [level(BAR, "y"), level(-BAR, "y")], margin: { l: 48, r: 12, t: 40, b: 40 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemsizing: "constant" },
      xaxis: { title: { text: "average beta", standoff: 8 }, zeroline: true },
      yaxis: { title: { text: "average t" } },
    }, shown.length ? "" : "No factor has a regression.");
  }

  function drawGrowth(factor) {
    const sides = [["high", "high", "--c0", "solid", 1.3], ["low", "low", "--c1", "dot", 1.5], ["spread", "high \u2212 low", "--ink", "solid", 2]];
    const all = sides.flatMap(([key]) => factor[key]).filter((v) => v !== null);
    const log = all.every((v) => v > 0);
    const ratio = all.reduce((a, b) => Math.max(a, b), 0) / all.reduce((a, b) => Math.min(a, b), Infinity);
    const ticks = ratio < 3 ? {} : { dtick: ratio > 12 ? "D2" : "D1" };
    byId("growth-note").textContent = log ? "Log scale." : "Linear scale: a portfolio lost everything.";
    draw("chart-growth", sides.map(([key, name, line, dash, width]) => ({
      type: "scatter", mode: "lines", name, x: data.dates, y: factor[key], connectgaps: false,
      line: { color: colour(line), dash, width }, hovertemplate: "%{y:.4g}",
    })), {
      showlegend: true, hovermode: "x unified", margin: { l: 48, r: 12, t: 34, b: 34 },
      xaxis: { type: "date", hoverformat: "%Y-%m-%d" },
      yaxis: log ? { type: "log", tickformat: "~g", ...ticks } : { type: "linear" },
    }, all.length ? "" : "No session has a return of this factor.");
  }

  function drawIc(factor) {
    const some = factor.ic_month.some((v) => v !== null);
    draw("chart-ic", [
      {
        type: "bar", name: "monthly mean", x: data.months, y: factor.ic_month, marker: { color: colour("--c5"), opacity: 0.75 },
        hovertemplate: "%{x|%b %Y}: %{y:.4f}<extra></extra>",
      },
      {
        type: "scatter", mode: "lines", name: "running sum", x: data.dates, y: factor.ic_sum, yaxis: "y2", connectgaps: false,
        line: { color: colour("--ink"), width: 1.6 }, hovertemplate: "%{x|%Y-%m-%d}: sum %{y:.3f}<extra></extra>",
      },
    ], {
      showlegend: true, margin: { l: 48, r: 44, t: 34, b: 34 }, bargap: 0.15, xaxis: { type: "date" },
      yaxis: { title: { text: "monthly mean" } },
      yaxis2: { overlaying: "y", side: "right", tickmode: "auto", nticks: 6, showgrid: false, zeroline: false, title: { text: "running sum" } },
    }, some ? "" : "No session has a rank IC of this factor.");
  }

  function drawQuantiles(factor) {
    const q = factor.quantiles;
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

  function drawHistogram(factor) {
    const values = factor.stocks.tstat.filter((v) => v !== null);
    const beyond = values.filter((v) => Math.abs(v) > BAR).length;
    byId("histogram-note").textContent = values.length ? `${count(beyond)} of ${count(values.length)} stocks lie outside.` : "";
    draw("chart-histogram", [{
      type: "histogram", x: values, nbinsx: 50, marker: { color: typeColour(factor.type), line: { width: 0.5, color: colour("--paper") } },
      hovertemplate: "t %{x}: %{y} stocks<extra></extra>",
    }], {
      shapes: [BAR, -BAR].map((bar) => ({ ...level(bar, "x"), line: { color: colour("--ink"), width: 1.2, dash: "dash" } })), bargap: 0,
      xaxis: { title: { text: "t", standoff: 6 } }, yaxis: { title: { text: "stocks" } },
    }, values.length ? "" : "No stock has a regression on this factor.");
  }

  function drawOverview() {
    drawBoxes("tstat", "chart-box-tstat", [level(BAR, "y"), level(-BAR, "y")], "t");
    drawBoxes("rsquared", "chart-box-rsquared", [], "R\u00b2");
    drawBubbles();
  }

  function drawFactorCharts(factor) {
    drawGrowth(factor);
    drawIc(factor);
    drawQuantiles(factor);
    drawHistogram(factor);
  }

  // ---- one factor ---------------------------------------------------------------------------------------------
  function choose(index) {
    current = index;
    const factor = data.factors[index];
    byId("factor-select").value = String(index);
    byId("h-factor").textContent = factor.name;
    byId("factor-description").textContent = factor.description ?? "No description is stored for this factor.";
    byId("factor-nulls").textContent = factor.remarks.join(" ");
    const summary = byId("summary");
    const heads = summary.tHead.rows[0].cells;
    for (const row of summary.tBodies[0].rows) {
      if (row.dataset.factor !== String(index)) {
        row.removeAttribute("aria-current");
        continue;
      }
      row.setAttribute("aria-current", "true");
      // The facts repeat the summary's cells, so that a number is formatted in one place.
      byId("factor-facts").replaceChildren(...[...row.cells].slice(1).map((cell, i) => {
        const item = document.createElement("div");
        const term = Object.assign(document.createElement("dt"), { textContent: heads[i + 1].dataset.label });
        const value = document.createElement("dd");
        value.append(...[...cell.childNodes].map((node) => node.cloneNode(true)));
        item.append(term, value);
        return item;
      }));
    }
    drawFactorCharts(factor);
    drawStocks(factor);
  }

  function fillSelect() {
    const select = byId("factor-select");
    for (const type of data.types) {
      const group = Object.assign(document.createElement("optgroup"), { label: type });
      data.factors.forEach((factor, i) => {
        if (factor.type === type) group.append(Object.assign(document.createElement("option"), { value: String(i), textContent: factor.name }));
      });
      select.append(group);
    }
    select.addEventListener("change", () => choose(Number(select.value)));
    byId("summary").addEventListener("click", (event) => {
      const pick = event.target.closest("button.pick");
      if (!pick) return;
      choose(Number(pick.closest("tr").dataset.factor));
      byId("factor").scrollIntoView();
    });
  }

  function problem(text) {
    const status = byId("status");
    status.textContent = text;
    status.classList.add("problem");
    document.documentElement.dataset.state = "problem";
  }

  async function start() {
    sortable(byId("summary"));
    if (typeof DecompressionStream === "undefined") {
      problem("This browser cannot unpack the charts and the stock tables: it lacks DecompressionStream. Chrome or Edge 80, "
        + "Firefox 113 and Safari 16.4 have it, and all later versions. The summary and the notes are complete.");
      return;
    }
    const code = document.createElement("script");
    [code.textContent, data] = await Promise.all([unpack("packed-plotly"), unpack("packed-data").then(JSON.parse)]);
    document.head.append(code);
    if (!data.factors.length) {
      byId("status").textContent = "There is nothing to draw yet.";
      document.documentElement.dataset.state = "ready";
      return;
    }
    byId("charts").hidden = false;
    fillSelect();
    sortable(byId("stocks"));
    byId("stock-filter").addEventListener("input", filterStocks);
    drawOverview();
    choose(data.first);
    byId("status").remove();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      drawOverview();
      drawFactorCharts(data.factors[current]);
    });
    document.documentElement.dataset.state = "ready";
  }

  start().catch((error) => problem(`The charts could not be drawn: ${error.message}. The summary and the notes are complete.`));
})();
