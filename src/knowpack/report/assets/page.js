// The page in order: headline, cards, figures, study, facts, method. Runs last.

const run = () => DATA.runs[STATE.run];
const found = (name) => run().measures[STATE.grader][name] || null;

function answerLine() {
  const learned = found("reliability");
  const lost = found("known_lost_raw");
  const net = found("known_lost_net");
  const kept = found("refusals_kept");
  const parts = [];
  if (learned) { const n = learned[3] ?? run().cell[0]; parts.push(`${percent(learned[0])} right answers to ${n === 1 ? "the one new fact" : `${n.toLocaleString("en")} new facts`}`); }
  if (lost) parts.push(`${percent(lost[0])} of what the model knew best was lost${net ? ` (${percent(net[0])} net of noise)` : ""}`);
  if (kept) parts.push(`${percent(kept[0])} of its refusals were kept`);
  const cells = DATA.cells.length > 1 ? `${shown(run().label)}, of ${DATA.cells.length} cells ${DATA.why_open}: ` : "";
  const text = `${(STATE.run === DATA.open ? cells : `${shown(run().label)}: `) + parts.join("; ")}.`;
  byId("answer").textContent = parts.length ? shown(text.charAt(0).toUpperCase() + text.slice(1)) : "Nothing of the five figures could be measured here; below is what could.";
}

/** The fall of an asked benchmark that reaches furthest, as [change, low, high, n]: benchmark_drop with its sign turned. */
function worstBenchmark() {
  const drop = found("benchmark_drop");
  if (!drop) return null;
  const turned = (v) => (v === null ? null : -v);
  return [turned(drop[0]), turned(drop[2]), turned(drop[1]), drop[3]];
}

/** The verdict on a limit: its colour and words; null without a limit. */
const LEVELS = { met: "green", "not met": "red", "not measured": "amber" };
function level(name) {
  const given = run().budget;
  const one = given && (given.verdicts || []).find((v) => v.name === name);
  return one ? [LEVELS[one.verdict], one.verdict, `limit: ${percent(one.limit)}; ${one.why}`] : null;
}

function card(title, measure, say, note, range, standing) {
  const [colourOf, word, limit] = standing || [];
  const bar = el("div", { class: "range", "aria-hidden": "true" });
  if (measure && measure[1] !== null && measure[1] !== undefined) {
    const [from, to] = range;
    const at = (v) => `${Math.max(0, Math.min(100, (100 * (v - from)) / (to - from)))}%`;
    const band = el("i");
    band.style.left = at(measure[1]);
    band.style.right = `calc(100% - ${at(measure[2])})`;
    const dot = el("b");
    dot.style.left = at(measure[0]);
    bar.append(band, dot);
  }
  return el("div", { class: "card" }, el("h3", null, title), el("p", { class: "big" }, measure ? say(measure[0]) : "–"), bar, colourOf ? el("p", { class: `level ${colourOf}` }, `${word}; ${limit}`) : null,
    el("p", { class: "small" }, measure ? `${interval(measure, say)}${measure[3] ? `, n = ${measure[3].toLocaleString("en")}` : ""}` : "not measured"), note ? el("p", { class: "small" }, note) : null);
}

function cards() {
  const lost = found("known_lost_raw");
  const net = found("known_lost_net");
  const noise = found("known_lost_floor");
  const worst = worstBenchmark();
  const learned = found("reliability");
  const n = learned ? learned[3] ?? run().cell[0] : 0;
  fill(byId("cards"), 
    card("Facts learned", learned, percent, learned ? `${n.toLocaleString("en")} trained; share of right answers to them` : null, [0, 1], level("reliability")),
    card("Known facts lost", lost, percent, net ? `net of noise ${percent(net[0])} (${interval(net, percent)}); noise floor ${noise ? percent(noise[0]) : "in it"}` : "noise floor not measured", [0, 1], level("known_lost")),
    card("New facts, other wordings", found("reliability_held_out"), percent, "wordings that were not trained", [0, 1]),
    card("Refusals kept", found("refusals_kept"), percent, "on facts that the base refused", [0, 1], level("refusals_lost")),
    card("Benchmarks", worst, (v) => (v > 0 ? `+${percent(v)}` : percent(v)), worst ? `the asked benchmark that may have fallen most, on the same items, in points of its range` : "none were run", [-0.5, 0.1], level("benchmark_drop")));
  const many = DATA.runs.length > 1 ? `, seed ${run().seed}` : "";
  fill(byId("cards-of"), el("strong", null, alien(run().label)), `${many}. Untrained facts only count as lost; 95% intervals.`);
  const budget = run().budget;
  if (budget) fill(byId("verdict"), verdict(budget));
}

/** The budget's word over all, what was tried, and what was left out. */
function verdict(budget) {
  const judged = budget.verdicts || [];
  const open = judged.filter((v) => v.verdict !== "met");
  const word = !open.length ? "green" : open.some((v) => v.verdict === "not met") ? "red" : "amber";
  const said = !open.length ? "budget met" : `budget ${open.some((v) => v.verdict === "not met") ? "not met" : "not measured"}`;
  const tried = budget.frontier || [];
  const heads = [...new Set(tried.flatMap((t) => Object.keys(t)))];
  const out = budget.left_out || [];
  return [
    el("p", { class: `verdict ${word}` }, el("strong", null, said), open.length ? ` – ${open.map((v) => `${v.name.replaceAll("_", " ")} (limit ${percent(v.limit)}) ${v.verdict}: ${v.why}`).join("; ")}` : "", budget.n_packed ? `; ${budget.n_packed.toLocaleString("en")} facts packed` : ""),
    tried.length ? el("details", null, el("summary", null, `The ${tried.length} attempts on the frontier`), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Attempts" }, grid(heads.map((h) => h.replaceAll("_", " ")), tried.map((t) => heads.map((h) => t[h] ?? null))))) : null,
    out.length ? el("details", null, el("summary", null, `${out.length} facts left out`), el("ul", null, out.slice(0, 200).map((o) => el("li", null, alien(Object.values(o).filter((v) => typeof v === "string").join(": ")))))) : null,
  ];
}

function studyFigures() {
  if (DATA.cells.length < 2) { singleFigures(); return; }
  const names = Object.keys(DATA.names).filter((n) => n !== "known_lost_floor" && n !== "n_refused_first_base" && DATA.cells.some((c) => c.measures.default[n] || c.measures.paper[n]));
  const select = (id, label, options, redraw) => el("label", { class: "pick" }, label, " ", el("select", { id, on: { change: () => drawn[redraw]() } }, options.map(([v, t]) => el("option", { value: v }, t))));
  const heat = select("heat-what", "Measure", names.map((n) => [n, DATA.names[n]]), "heat");
  chart("heat", "Every cell at a glance", () => heatSpec(byId("heat-what").value), heat);
  if (names.includes("known_lost_raw")) heat.querySelector("select").value = "known_lost_raw";
  const kinds = families().filter((key) => DATA.cells.some((c) => family(c.cell) === key && c.runs.some((r) => DATA.runs[r].epochs.some((e) => e[2] !== null))));
  chart("epochs", "Reliability over epochs", () => epochsSpec(byId("epochs-what").value), select("epochs-what", "Added", kinds.map((k) => [k, familyName(k)]), "epochs"));
  const harms = ["known_lost_raw", "known_lost_net", "negative", "benchmark_drop"].filter((n) => names.includes(n));
  chart("pareto", "Facts learned against harm", () => paretoSpec(byId("pareto-what").value), select("pareto-what", "Harm", harms.map((n) => [n, DATA.names[n]]), "pareto"));
  benchFigure();
  cellsTable(names);
}

/** One run has no grid: its training and its benchmarks, or nothing. */
function singleFigures() {
  const one = DATA.runs[0];
  const trained = one.epochs.some((e) => e[2] !== null);
  if (!trained && !one.scores.length) { byId("study").remove(); byId("jump-study").remove(); return; }
  byId("study-title").lastChild.textContent = "Training and benchmarks";
  byId("jump-study").textContent = "Benchmarks";
  if (trained) chart("epochs", "Reliability over epochs", () => epochsSpec(family(DATA.cells[0].cell)));
  if (one.scores.length) {
    const rows = one.scores.map(([task, metric, value, se, n]) => {
      const b = DATA.benchmarks.find((x) => x[0] === task && x[1] === metric);
      const same = one.paired.find((x) => x[0] === task && x[1] === metric) || [];
      return [`${task} ${metric}`, b ? b[2] : null, value, b ? value - b[2] : null, same[3] ?? null, same[4] ?? null, same[6] ?? null, se, n];
    });
    fill(byId("bench"), el("figcaption", null, el("strong", null, "Benchmarks")), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Benchmarks" }, grid(["task", "base", "after", "difference", "low", "high", "p (Holm)", "standard error", "items"], rows)));
  }
  for (const id of ["heat", "epochs", "bench", "pareto"]) if (!byId(id).hasChildNodes()) byId(id).remove();
}

const BENCH_HEIGHT = 210; // px

/** Small plots of the benchmarks, one a task, under one caption and one legend. */
function benchFigure() {
  const tasks = [];
  for (const r of DATA.runs) for (const [task, metric] of r.scores) if (!/^mmlu_/.test(task) && !tasks.some((t) => t[0] === task && t[1] === metric)) tasks.push([task, metric]);
  const figure = byId("bench");
  if (!tasks.length) { fill(figure, el("p", { class: "small" }, "No benchmarks were run in this study.")); return; }
  const listed = tasks.slice(0, 12);
  const table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Benchmarks: the numbers" });
  const small = listed.map(([task, metric]) => [task, metric, el("div", { class: "plot", role: "img" })]);
  const legend = el("p", { class: "legend" });
  fill(figure, el("figcaption", null, el("strong", null, "Benchmarks over the number of facts"), " ", el("span", { class: "note" }, `Line: mean over seeds, band: their range; dashed: the paper's; dotted: the base.${tasks.length > 12 ? ` The first 12 of ${tasks.length}.` : ""}`)), legend,
    el("div", { class: "small-multiples" }, small.map(([task, metric, plot]) => el("div", null, el("h3", null, alien(task.replaceAll("_", " ")), " ", el("span", { class: "small" }, alien(metric))), plot))),
    el("details", null, el("summary", null, "The numbers"), table));
  placed.bench = () => {
    const specs = small.map(([task, metric]) => benchSpec(task, metric));
    const rows = specs.flatMap((spec, k) => spec.rows.map((r) => [listed[k].join(" "), ...r]));
    for (const [, , plot] of small) plot.style.height = `${BENCH_HEIGHT}px`;
    fill(table, grid(["task", "cell", "mean", "lowest", "highest", "seeds", "paper"], rows));
    fill(legend, ...families().filter((f) => f !== "sham").map((f) => { const s = el("span", { class: "key" }, el("i"), familyName(f)); s.firstChild.style.background = hue(f); return s; }));
    return specs;
  };
  drawn.bench = () => {
    const specs = placed.bench();
    for (const [k, [task, metric, plot]] of small.entries()) {
      const spec = specs[k];
      plot.setAttribute("aria-label", `${task} ${metric} over the number of facts${spec.base ? `; base ${number(spec.base[2])}` : ""}. The numbers stand in the table below.`);
      startLibrary().react(plot, spec.data, { ...base(), height: BENCH_HEIGHT, shapes: spec.shapes, ...axes({ type: "log", dtick: 1 }, { nticks: 5 }) }, { displayModeBar: false, responsive: true });
    }
  };
}

function cellsTable(names) {
  drawn.cells = placed.cells = () => {
    const listed = names.slice(0, 9);
    const rows = DATA.cells.map((c) => el("tr", null, el("th", { scope: "row" }, el("button", { type: "button", class: "link", on: { click: () => choose({ run: c.runs[0] }) } }, alien(c.label))), el("td", { class: "num" }, String(c.runs.length)),
      listed.map((n) => { const m = measured(c, n); const say = form(n); return el("td", { class: "num" }, m ? say(m[0]) : "–", m && m[1] !== null ? el("span", { class: "ci" }, `${say(m[1])}–${say(m[2])}`) : null); })));
    const gone = DATA.unfinished.map(([name, state, error]) => el("tr", { class: "gone" }, el("th", { scope: "row" }, alien(name)), el("td", { colspan: String(listed.length + 1) }, `${state}`, error ? ": " : "", alien(error))));
    fill(byId("cells"), el("details", { open: DATA.cells.length <= 12 }, el("summary", null, "Every cell, with intervals"), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Every cell" },
      el("table", { class: "cells" }, el("caption", null, "Intervals: over facts for one seed, over seeds (t) for more."), el("thead", null, el("tr", null, ["cell", "seeds", ...listed.map((n) => DATA.names[n])].map((h) => el("th", { scope: "col" }, h)))), el("tbody", null, rows, gone)))));
  };
}

function method() {
  const one = DATA.how[STATE.run];
  const flat = (value, name) => (value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value).flatMap(([k, v]) => flat(v, name ? `${name}.${k}` : k)) : [[name, Array.isArray(value) ? value.join(", ") : String(value ?? "–")]]);
  const list = (rows) => el("dl", { class: "settings" }, rows.flatMap(([k, v]) => [el("dt", null, alien(k)), el("dd", null, alien(v))]));
  const stages = Object.entries(one.stages || {});
  const total = stages.reduce((a, s) => a + (s[1].seconds || 0), 0);
  fill(byId("how"), 
    el("div", { class: "pair" },
      el("div", null, el("h3", null, "Again"), el("pre", { tabindex: "0", role: "region", "aria-label": "The command" }, alien(one.command || "the command was not kept")), el("h3", null, "Identity"),
        list(Object.entries(one).filter(([k, v]) => typeof v === "string" && k !== "command").concat(Object.entries(one.versions || {}).map(([k, v]) => [`version of ${k}`, v])))),
      el("div", null, el("h3", null, "Time"), stages.length ? grid(["stage", "seconds"], [...stages.map(([k, v]) => [k, v.seconds ?? null]), ["all", total]], 1) : el("p", null, "The times were not kept."),
        el("h3", null, "Not measured"), el("ul", null, (DATA.unmeasured.length || DATA.unfinished.length ? DATA.unmeasured : ["Everything that this page has a place for was measured."]).map((t) => el("li", null, t)), DATA.unfinished.map(([name, state]) => el("li", null, alien(name), `: ${state}`))))),
    el("details", null, el("summary", null, "Every setting"), list(flat(one.config, ""))));
}

function fillRuns() {
  const select = byId("run");
  const seeds = new Set(DATA.runs.map((r) => r.seed)).size > 1;
  select.append(...DATA.runs.map((r, i) => el("option", { value: String(i) }, shown(r.label) + (seeds ? ` · seed ${r.seed}` : ""))));
  byId("run-pick").hidden = DATA.runs.length < 2;
  select.addEventListener("change", () => choose({ run: Number(select.value) }));
  for (const radio of document.querySelectorAll("input[name=grader]")) radio.addEventListener("change", () => choose({ grader: radio.value }));
}

/** Draw one figure in each idle moment, the first ones first. */
let turn = 0;
function drawAll(names, now) {
  turn += 1;
  if (now) {
    for (const name of names) if (drawn[name] && byId(name)) drawn[name]();
    document.documentElement.dataset.drawn = "yes";
    return;
  }
  const mine = turn;
  const wait = window.requestIdleCallback || ((f) => setTimeout(f, 0));
  const next = () => {
    if (mine !== turn) return;
    const name = names.shift();
    if (!name) { document.documentElement.dataset.drawn = "yes"; return; }
    if (drawn[name] && byId(name)) drawn[name]();
    wait(next, { timeout: 300 });
  };
  document.documentElement.dataset.drawn = "no";
  wait(next, { timeout: 300 });
}

const OF_RUN = ["flow", "matrix", "kinship", "causes", "heat"];
const OF_STUDY = ["epochs", "bench", "pareto", "cells"];

listeners.push((change) => {
  byId("run").value = String(STATE.run);
  document.querySelector(`input[name=grader][value=${STATE.grader}]`).checked = true;
  answerLine();
  cards();
  method();
  drawAll(change.theme || change.grader ? [...OF_RUN, ...OF_STUDY] : [...OF_RUN], change.now);
  if (!change.theme) { toAddress(); showFacts(); }
});

function start() {
  startTheme();
  byId("kind").textContent = `report · ${DATA.kind}`;
  byId("title").textContent = shown(DATA.title);
  byId("cite").textContent = `Dashed lines and "paper": ${DATA.citation}`;
  fillRuns();
  const given = readAddress();
  const at = DATA.how.findIndex((h, i) => (h.run_id ?? String(i)) === given.run);
  if (at >= 0) STATE.run = at;
  if (DATA.graders.includes(given.grader)) STATE.grader = given.grader;
  byId("run").value = String(STATE.run);
  document.querySelector(`input[name=grader][value=${STATE.grader}]`).checked = true;
  answerLine();
  cards();
  chart("flow", "Where the facts went", flowSpec);
  chart("matrix", "Before and after", matrixSpec);
  chart("kinship", "Harm by nearness", kinshipSpec);
  chart("causes", "Why they moved", causesSpec);
  studyFigures();
  method();
  for (const place of Object.values(placed)) place();
  startExplorer();
  showFacts();
  requestAnimationFrame(() => drawAll([...OF_RUN, ...OF_STUDY]));
}
start();
