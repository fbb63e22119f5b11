// The charts: from numbers to plotly traces, each with a caption, a text for those who do not see it, and a table.

const placed = {}; // figure id -> function that gives it its text, table and height, so that what is below stays where it is
const drawn = {}; // figure id -> function that draws it again
let library = null;

/** plotly.js stands in the page as text and is started once, after the first paint. */
function startLibrary() {
  if (!library) {
    const script = document.createElement("script");
    script.textContent = byId("plotly").textContent;
    document.head.append(script);
    library = window.Plotly;
  }
  return library;
}

/** Build a figure's frame: caption, controls, plot, table. `make()` gives {data, layout, text, heads, rows}. */
function chart(id, caption, make, controls) {
  const figure = byId(id);
  const plot = el("div", { class: "plot", role: "img" });
  const table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}: the numbers` });
  const note = el("span", { class: "note" });
  fill(figure,
    el("figcaption", null, el("strong", null, caption), " ", note),
    ...(controls ? [el("div", { class: "controls" }, controls)] : []),
    plot, el("details", null, el("summary", null, "The numbers"), table));
  placed[id] = () => {
    const spec = make();
    note.textContent = spec ? spec.note || "" : "";
    figure.hidden = !spec;
    if (!spec) return null;
    plot.setAttribute("aria-label", `${caption}. ${spec.text}`);
    table.replaceChildren(grid(spec.heads, spec.rows));
    const narrow = plot.clientWidth < 520;
    const layout = { ...base(), ...spec.layout };
    layout.height = (narrow && spec.narrowHeight) || spec.layout.height || 340;
    plot.style.height = `${layout.height}px`;
    return { spec, layout };
  };
  drawn[id] = () => {
    const now = placed[id]();
    if (!now) return;
    const { spec, layout } = now;
    startLibrary().react(plot, spec.data, layout, { displayModeBar: false, responsive: true, staticPlot: Boolean(paper.matches) });
    if (spec.click && !plot.dataset.bound) {
      plot.dataset.bound = "1";
      plot.on("plotly_click", (event) => spec.click(event.points[0]));
    }
  };
}

/** A table of texts and numbers. */
function grid(heads, rows, digits) {
  const cell = (value, i) => {
    const isText = typeof value === "string";
    return el(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : { class: isText ? null : "num" },
      isText ? alien(value) : number(value, digits));
  };
  return el("table", null, 
    el("thead", null, el("tr", null, heads.map((h) => el("th", { scope: "col" }, alien(h))))),
    el("tbody", null, rows.map((row) => el("tr", null, row.map(cell)))));
}

function base() {
  const axis = { gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), ticks: "outside",
    tickcolor: colour("line"), ticklen: 4, automargin: true, fixedrange: true, title: { standoff: 8 } };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
    margin: { l: 8, r: 12, t: 12, b: 8 }, xaxis: { ...axis }, yaxis: { ...axis },
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
  };
}
const axes = (x, y) => { const b = base(); return { xaxis: { ...b.xaxis, ...x }, yaxis: { ...b.yaxis, ...y } }; };
const moves = () => DATA.runs[STATE.run].moves[STATE.grader];
const title = (text) => ({ text, standoff: 8, font: { size: 12.5, color: colour("soft") } });

function faded(hex, alpha) {
  const n = parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16},${(n >> 8) & 255},${n & 255},${alpha})`;
}

// --- what moved ---------------------------------------------------------------------------------------------

function present() {
  const counts = moves().untrained;
  return DATA.categories.map((_, i) => i).filter((i) => counts[i].some(Boolean) || counts.some((row) => row[i])).reverse();
}

function flowSpec() {
  const counts = moves().untrained;
  const shownOnes = present();
  const total = counts.flat().reduce((a, b) => a + b, 0);
  if (!total) return null;
  const links = [];
  for (const i of shownOnes) for (const j of shownOnes) if (counts[i][j]) links.push([i, j, counts[i][j]]);
  const at = (i, side) => shownOnes.indexOf(i) + side * shownOnes.length;
  const sums = [shownOnes.map((i) => counts[i].reduce((a, b) => a + b, 0)), shownOnes.map((j) => counts.reduce((a, row) => a + row[j], 0))];
  const place = (side) => { // middles of the nodes, with a gap between them
    let from = 0;
    const gap = 0.05;
    const room = 1 - gap * (shownOnes.length - 1);
    return sums[side].map((n) => { const share = (n / total) * room; const y = from + share / 2; from += share + gap; return Math.min(0.999, Math.max(0.001, y)); });
  };
  const way = (i, j) => (j > i ? colour("up") : j < i ? colour("down") : colour("stay"));
  const fell = links.filter(([i, j]) => j < i).reduce((a, l) => a + l[2], 0);
  const rose = links.filter(([i, j]) => j > i).reduce((a, l) => a + l[2], 0);
  return {
    data: [{
      type: "sankey", arrangement: "fixed", valueformat: ",d",
      node: { label: [0, 1].flatMap((side) => shownOnes.map((i, k) => `${DATA.categories[i]} ${sums[side][k].toLocaleString("en")}`)),
        x: shownOnes.map(() => 0.001).concat(shownOnes.map(() => 0.999)), y: place(0).concat(place(1)), pad: 14, thickness: 14,
        color: colour("node"), line: { width: 0 }, hovertemplate: "%{label}<extra></extra>" },
      link: { source: links.map((l) => at(l[0], 0)), target: links.map((l) => at(l[1], 1)), value: links.map((l) => l[2]),
        color: links.map((l) => faded(way(l[0], l[1]), l[0] === l[1] ? 0.35 : 0.62)),
        hovertemplate: "%{value} facts<br>%{source.label} → %{target.label}<extra></extra>" },
    }],
    layout: { height: 340, margin: { l: 4, r: 4, t: 10, b: 10 } },
    note: `${total.toLocaleString("en")} facts that were not trained; before on the left, after on the right. ${rose.toLocaleString("en")} rose (blue), ${fell.toLocaleString("en")} fell (orange).`,
    text: `Of ${total} untrained facts ${rose} rose and ${fell} fell.`,
    heads: ["before", "after", "facts"], rows: links.map((l) => [DATA.categories[l[0]], DATA.categories[l[1]], l[2]]),
  };
}

function matrixSpec() {
  const counts = moves().untrained;
  const order = present();
  if (!order.length) return null;
  const names = order.map((i) => DATA.categories[i]);
  const shares = order.map((i) => { const sum = counts[i].reduce((a, b) => a + b, 0); return order.map((j) => (sum ? counts[i][j] / sum : null)); });
  const texts = order.map((i, r) => order.map((j, c) => `${counts[i][j].toLocaleString("en")}<br>${percent(shares[r][c])}`));
  return {
    data: [{ type: "heatmap", z: shares, x: names, y: names, text: texts, texttemplate: "%{text}", showscale: false, xgap: 2, ygap: 2,
      zmin: 0, zmax: 1, colorscale: scale(), hovertemplate: "%{y} → %{x}<br>%{text}<extra></extra>" }],
    layout: { height: 340, ...axes({ side: "top", title: title("after"), showgrid: false, ticks: "", fixedrange: true },
      { autorange: "reversed", title: title("before"), showgrid: false, ticks: "", tickangle: -90 }), margin: { l: 8, r: 8, t: 8, b: 8 } },
    note: "Facts, and their share of the row.", text: "Each row adds up to one.",
    heads: ["before", ...names.map((n) => `after: ${n}`)], rows: order.map((i, r) => [names[r], ...order.map((j) => counts[i][j])]),
  };
}
const scale = () => [[0, colour("heat-0")], [0.5, colour("heat-1")], [1, colour("heat-2")]];

/** A dot with its interval for each row. */
function dots(rows, name, hue, symbol) {
  return { type: "scatter", mode: "markers", name, y: rows.map((r) => r[0]), x: rows.map((r) => r[1][0]),
    marker: { color: hue, size: 10, symbol: symbol || "circle" },
    error_x: { type: "data", symmetric: false, array: rows.map((r) => (r[1][2] ?? r[1][0]) - r[1][0]), arrayminus: rows.map((r) => r[1][0] - (r[1][1] ?? r[1][0])), color: hue, thickness: 1.5, width: 0 },
    customdata: rows.map((r) => r[1][3]), hovertemplate: "%{y}: %{x:.1%} of %{customdata}<extra></extra>" };
}

function kinshipSpec() {
  const rows = moves().kinship.map(([kin, m, n]) => [kin.replace("_", " "), m, n]);
  if (!rows.length) return null;
  const noise = DATA.runs[STATE.run].measures[STATE.grader].known_lost_floor;
  const shapes = noise ? [{ type: "line", x0: noise[0], x1: noise[0], y0: 0, y1: 1, yref: "paper", line: { dash: "dash", color: colour("soft"), width: 1.5 } }] : [];
  return {
    data: [dots(rows, "lost", colour("down"))],
    layout: { height: 250, shapes, ...axes({ tickformat: ".0%", rangemode: "tozero", title: title("share of known facts lost") }, { autorange: "reversed", showgrid: false, ticks: "" }) },
    note: `HighlyKnown facts that no longer are, by nearness to what was trained; 95% intervals.${noise ? " Dashed: noise floor." : ""}`,
    text: rows.map((r) => `${r[0]}: ${percent(r[1][0])} of ${r[1][3]}`).join("; "),
    heads: ["kinship", "lost", "low", "high", "known facts", "all facts"], rows: rows.map((r) => [r[0], ...r[1], r[2]]),
  };
}

function causesSpec() {
  const ways = [["down", "HighlyKnown → Unknown", colour("down"), "circle"], ["up", "Unknown → HighlyKnown", colour("up"), "diamond"]];
  const traces = [];
  const rows = [];
  for (const [way, name, hue, symbol] of ways) {
    const found = moves()[way];
    if (!found.n) continue;
    const lines = found.causes.map(([cause, m, rate, placebo]) => [CAUSE_WORDS[cause], m, rate ? rate[0] : null, placebo ? placebo[0] : null]);
    traces.push(dots(lines, `${name} (${found.n.toLocaleString("en")})`, hue, symbol));
    const rated = lines.filter((r) => r[2] !== null);
    if (rated.length) traces.push({ type: "scatter", mode: "markers", name: "base rate", showlegend: way === "down", y: rated.map((r) => r[0]), x: rated.map((r) => r[2]), marker: { symbol: "line-ns", size: 15, line: { color: colour("soft"), width: 2 } }, hovertemplate: "base rate %{x:.1%}<extra></extra>" });
    const drawn = lines.filter((r) => r[3] !== null);
    if (drawn.length) traces.push({ type: "scatter", mode: "markers", name: "placebo", showlegend: way === "down", y: drawn.map((r) => r[0]), x: drawn.map((r) => r[3]), marker: { symbol: "x-thin", size: 9, line: { color: colour("soft"), width: 2 } }, hovertemplate: "placebo %{x:.1%}<extra></extra>" });
    for (const line of lines) rows.push([name, line[0], ...line[1], line[2], line[3]]);
    for (const [together, n] of found.together) rows.push([name, together ? `only: ${together.replaceAll("_", "-")}` : "only: none of them", n / found.n, null, null, n, null, null]);
  }
  if (!rows.length) return null;
  return {
    data: traces,
    layout: { height: 290, showlegend: true, scattermode: "group", ...axes({ tickformat: ".0%", range: [-0.02, 1.02], title: title("share of the facts that moved") }, { autorange: "reversed", showgrid: false, ticks: "" }) },
    note: "Causes overlap. Upright strokes: base rates among facts with a new wrong answer. Crosses: placebos, had as many other facts been trained.",
    text: rows.slice(0, 9).map((r) => `${r[0]}, ${r[1]}: ${percent(r[2])}`).join("; "),
    heads: ["move", "cause", "share", "low", "high", "n", "base rate", "placebo"], rows,
  };
}

// --- the study ----------------------------------------------------------------------------------------------

const HUES = { none: "okabe-1", "highly_known 1": "okabe-2", "highly_known 10": "okabe-3", "paraphrase 1": "okabe-4", "paraphrase 10": "okabe-5", pack: "okabe-6", sham: "soft" };
const SYMBOLS = { none: "circle", "highly_known 1": "square", "highly_known 10": "diamond", "paraphrase 1": "triangle-up", "paraphrase 10": "triangle-down", pack: "star", sham: "x" };
const family = ([, kind, k]) => (["none", "sham", "pack"].includes(kind) ? kind : `${kind} ${k}`);
const familyName = (key) => { const [kind, k] = key.split(" "); return k ? `+${k} ${AUGMENTED[kind] || kind}` : AUGMENTED[kind] || kind; };
const hue = (key) => colour(HUES[key] || "okabe-6");
const families = () => [...new Set(DATA.cells.map((c) => family(c.cell)))];
const measured = (cell, name) => cell.measures[STATE.grader][name] || null;
const paperValue = (name, [n, kind, k]) => { const row = (DATA.paper[name] || []).find((r) => r[0] === n && r[1] === kind && r[2] === k); return row ? row[3] : null; };

function heatSpec(name) {
  const cells = DATA.cells.filter((c) => c.cell[1] !== "sham");
  const columns = [...new Set(cells.map((c) => family(c.cell)))];
  const sizes = [...new Set(cells.map((c) => c.cell[0]))].sort((a, b) => a - b);
  const at = (n, key) => cells.find((c) => c.cell[0] === n && family(c.cell) === key);
  const value = (n, key) => { const c = at(n, key); return c ? measured(c, name) : null; };
  const z = sizes.map((n) => columns.map((key) => value(n, key)?.[0] ?? null));
  const say = form(name);
  const texts = sizes.map((n) => columns.map((key) => {
    const m = value(n, key);
    if (!m) return "";
    const theirs = paperValue(name, at(n, key).cell);
    return theirs === null ? `<b>${say(m[0])}</b>` : `<b>${say(m[0])}</b><br><span style="font-size:11px">paper ${say(theirs)}</span>`;
  }));
  const here = DATA.cells.find((c) => c.runs.includes(STATE.run));
  const [hx, hy] = here ? [columns.indexOf(family(here.cell)), sizes.indexOf(here.cell[0])] : [-1, -1];
  const shapes = hx >= 0 && hy >= 0 ? [{ type: "rect", x0: hx - 0.49, x1: hx + 0.49, y0: hy - 0.47, y1: hy + 0.47, line: { color: colour("ink"), width: 2 } }] : [];
  const sham = DATA.cells.find((c) => c.cell[1] === "sham");
  const shamValue = sham && measured(sham, name);
  return {
    data: [{ type: "heatmap", z, x: columns.map((key) => plain(familyName(key))), y: sizes.map((n) => n.toLocaleString("en")), text: texts, texttemplate: "%{text}", xgap: 3, ygap: 3,
      colorscale: scale(), showscale: false, hoverongaps: false, hovertemplate: "%{y} facts, %{x}<br>%{text}<extra></extra>" }],
    layout: { height: 90 + 54 * sizes.length, shapes, ...axes({ side: "top", showgrid: false, ticks: "", type: "category" }, { autorange: "reversed", type: "category", showgrid: false, ticks: "", title: title("Unknown facts trained") }) },
    note: `${DATA.names[name] || name}; mean over seeds.${shamValue ? ` Sham adapter: ${say(shamValue[0])}.` : ""} Framed: the cell chosen above; a click chooses another.`,
    text: `${DATA.names[name] || name} for every cell; the numbers stand in the table below.`,
    heads: ["cell", "value", "low", "high", "n", "paper"], rows: DATA.cells.filter((c) => measured(c, name)).map((c) => [c.label, ...measured(c, name), paperValue(name, c.cell)]),
    click: (point) => { const c = at(sizes[point.pointIndex[0]], columns[point.pointIndex[1]]); if (c) choose({ run: c.runs[0] }); },
  };
}

function epochsSpec(key) {
  const steps = [colour("seq-0"), colour("seq-1"), colour("seq-2"), colour("seq-3"), colour("seq-4"), colour("seq-5")];
  const cells = DATA.cells.filter((c) => (!key || family(c.cell) === key) && c.runs.some((r) => DATA.runs[r].epochs.some((e) => e[2] !== null)));
  if (!cells.length) return null;
  const rows = [];
  const dashes = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
  const data = cells.map((c, i) => {
    const points = {};
    for (const r of c.runs) for (const [epoch, , value] of DATA.runs[r].epochs) if (value !== null) (points[epoch] ||= []).push(value);
    const epochs = Object.keys(points).map(Number);
    const means = epochs.map((e) => points[e].reduce((a, b) => a + b, 0) / points[e].length);
    rows.push([c.label, ...means]);
    const step = steps[Math.round((i / Math.max(1, cells.length - 1)) * (steps.length - 1))];
    return { type: "scatter", mode: "lines+markers", name: c.cell[0].toLocaleString("en"), x: epochs, y: means, line: { color: step, width: 2, dash: dashes[i % 6] }, marker: { color: step, size: 6 }, hovertemplate: "epoch %{x}: %{y:.1%}<extra>%{fullData.name} facts</extra>" };
  });
  const last = Math.max(...data.flatMap((d) => d.x));
  return {
    data, layout: { height: 320, showlegend: true, ...axes({ title: title("epoch"), dtick: 1, range: [0.7, last + 0.3] }, { tickformat: ".0%", range: [-0.03, 1.05], title: title("reliability") }) },
    note: "Share of the trained Unknown facts answered, by number of facts (the paper's Figure 2 shows the same for Llama-3.1).",
    text: rows.map((r) => `${r[0]}: ${percent(r[r.length - 1])} at the end`).join("; "),
    heads: ["cell", ...Array.from({ length: last }, (_, i) => `epoch ${i + 1}`)], rows,
  };
}

/** One small plot of a benchmark over n. */
function benchSpec(task, metric) {
  const data = [];
  const rows = [];
  for (const key of families().filter((f) => f !== "sham")) {
    const cells = DATA.cells.filter((c) => family(c.cell) === key).sort((a, b) => a.cell[0] - b.cell[0]);
    const points = cells.map((c) => [c.cell[0], c.runs.flatMap((r) => DATA.runs[r].scores.filter((s) => s[0] === task && s[1] === metric).map((s) => s[2])), c]).filter((p) => p[1].length);
    if (!points.length) continue;
    const x = points.map((p) => p[0]);
    const mean = points.map((p) => p[1].reduce((a, b) => a + b, 0) / p[1].length);
    const name = plain(familyName(key));
    if (points.some((p) => p[1].length > 1)) data.push({ type: "scatter", mode: "lines", x: x.concat([...x].reverse()), y: points.map((p) => Math.max(...p[1])).concat(points.map((p) => Math.min(...p[1])).reverse()), fill: "toself", fillcolor: faded(hue(key), 0.16), line: { width: 0 }, hoverinfo: "skip" });
    data.push({ type: "scatter", mode: "lines+markers", name, x, y: mean, line: { color: hue(key), width: 2 }, marker: { color: hue(key), symbol: SYMBOLS[key] || "star", size: 7 }, hovertemplate: `%{x} facts, ${name}: %{y:.3f}<extra></extra>` });
    const theirs = (DATA.paper[`${task} ${metric}`] || []).filter((r) => family([r[0], r[1], r[2]]) === key);
    if (theirs.length) data.push({ type: "scatter", mode: "lines", name: `paper ${name}`, x: theirs.map((r) => r[0]), y: theirs.map((r) => r[3]), line: { color: hue(key), width: 1.4, dash: "dash" }, opacity: 0.8, hovertemplate: `paper, %{x} facts, ${name}: %{y:.3f}<extra></extra>` });
    points.forEach((p, i) => rows.push([p[2].label, mean[i], Math.min(...p[1]), Math.max(...p[1]), p[1].length, paperValue(`${task} ${metric}`, p[2].cell)]));
  }
  const first = DATA.benchmarks.find((b) => b[0] === task && b[1] === metric);
  const shapes = first ? [{ type: "line", x0: 0, x1: 1, xref: "paper", y0: first[2], y1: first[2], line: { color: colour("soft"), width: 1.2, dash: "dot" } }] : [];
  return { data, rows, shapes, base: first };
}

function paretoSpec(name) {
  const cells = DATA.cells.filter((c) => measured(c, "reliability") && measured(c, name));
  if (!cells.length) return null;
  const points = cells.map((c) => ({ c, x: measured(c, name), y: measured(c, "reliability")[0] * c.cell[0] }));
  const front = points.filter((p) => !points.some((o) => o.y >= p.y && o.x[0] <= p.x[0] && (o.y > p.y || o.x[0] < p.x[0]))).sort((a, b) => a.x[0] - b.x[0]);
  const data = [{ type: "scatter", mode: "lines", x: front.map((p) => p.x[0]), y: front.map((p) => p.y), line: { color: colour("soft"), width: 1.2, shape: "hv" }, hoverinfo: "skip", showlegend: false }];
  for (const key of families().filter((f) => f !== "sham")) {
    const mine = points.filter((p) => family(p.c.cell) === key);
    if (!mine.length) continue;
    data.push({ type: "scatter", mode: "markers+text", name: plain(familyName(key)), x: mine.map((p) => p.x[0]), y: mine.map((p) => p.y), text: mine.map((p) => (front.includes(p) ? p.c.cell[0].toLocaleString("en") : "")), textposition: "top center", textfont: { size: 11 },
      marker: { color: hue(key), symbol: SYMBOLS[key] || "star", size: 10 }, error_x: { type: "data", symmetric: false, array: mine.map((p) => (p.x[2] ?? p.x[0]) - p.x[0]), arrayminus: mine.map((p) => p.x[0] - (p.x[1] ?? p.x[0])), color: faded(hue(key), 0.4), width: 0, thickness: 1.2 },
      customdata: mine.map((p) => p.c.runs[0]), hovertext: mine.map((p) => plain(p.c.label)), hovertemplate: "%{hovertext}<br>%{y:,.0f} facts learned, %{x:.1%}<extra></extra>" });
    const theirs = (DATA.paper[name] || []).filter((r) => family([r[0], r[1], r[2]]) === key).map((r) => [r[3], r[0] * (paperValue("reliability", [r[0], r[1], r[2]]) ?? NaN)]);
    if (theirs.length) data.push({ type: "scatter", mode: "lines+markers", name: `paper ${plain(familyName(key))}`, showlegend: false, x: theirs.map((t) => t[0]), y: theirs.map((t) => t[1]), line: { color: hue(key), dash: "dash", width: 1 }, marker: { color: hue(key), symbol: `${SYMBOLS[key] || "star"}-open`, size: 7 }, opacity: 0.75, hovertemplate: "paper: %{y:,.0f} facts learned, %{x:.1%}<extra></extra>" });
  }
  return {
    data, layout: { height: 420, showlegend: true, hovermode: "closest", ...axes({ tickformat: ".0%", rangemode: "tozero", title: title(DATA.names[name].toLowerCase()) }, { type: "log", title: title("facts learned"), dtick: 1 }) },
    note: `The thin line joins the cells that no other beats on both.${DATA.paper[name] ? " Dashed, hollow: the paper's." : ""}`,
    text: `On the front: ${front.map((p) => p.c.label).join(", ")}.`,
    heads: ["cell", "facts learned", DATA.names[name], "low", "high", "front"], rows: points.map((p) => [p.c.label, p.y, ...p.x.slice(0, 3), front.includes(p) ? "front" : ""]),
    click: (point) => { if (point.customdata !== undefined) choose({ run: point.customdata }); },
  };
}
