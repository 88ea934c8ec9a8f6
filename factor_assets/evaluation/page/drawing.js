"use strict";
// What every page of the report shares: unpacking, tables that sort, and charts in the page's colours.
const byId = (id) => document.getElementById(id);
const BAR = 1.96;
let data = null;

// Plotly reads a little HTML in its texts; names are data and must not be read so.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const number = (value, digits) => value === null ? "\u2013" : value.toFixed(digits).replace("-", "\u2212");
const count = (value) => value.toLocaleString("en-US");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
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

function problem(text) {
  const status = byId("status");
  status.textContent = text;
  status.classList.add("problem");
  document.documentElement.dataset.state = "problem";
}

async function start(onReady, drawAll) {
  document.querySelectorAll("table.sortable").forEach(sortable);
  if (typeof DecompressionStream === "undefined") {
    problem("This browser cannot unpack the charts: it lacks DecompressionStream. Chrome or Edge 80, "
      + "Firefox 113 and Safari 16.4 have it, and all later versions. The text and the tables are complete.");
    return;
  }
  const code = document.createElement("script");
  [code.textContent, data] = await Promise.all([unpack("packed-plotly"), unpack("packed-data").then(JSON.parse)]);
  document.head.append(code);
  document.querySelectorAll(".charts").forEach((part) => { part.hidden = false; });
  onReady();
  drawAll();
  byId("status").remove();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  document.documentElement.dataset.state = "ready";
}

function run(onReady, drawAll) {
  start(onReady, drawAll).catch((error) => problem(`The charts could not be drawn: ${error.message}. The text is complete.`));
}
