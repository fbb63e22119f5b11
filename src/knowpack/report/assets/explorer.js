// The fact explorer: filters over packed columns. Its list is in list.js, one fact in full in detail.js.

const ROW = 76; // px, as in page.css
const EX = {
  facts: null,
  run: null,
  order: [],
  rows: new Map(),
  version: 0,
  active: -1,
  open: null,
  more: 0,
  search: null,
};
const FILTERS = [
  ["q", "Search", null],
  ["move", "Moved", ["fell", "rose", "moved", "stayed"]],
  ["before", "Before", DATA.categories],
  ["after", "After", DATA.categories],
  ["cause", "Cause", [...CAUSES, "unexplained"]],
  ["kin", "Training", ["trained", ...KIN_WORDS]],
  ["relation", "Relation", []],
  ["domain", "Domain", []],
  ["popularity", "Popularity", []],
];
const SORTS = [
  ["", "fell most"],
  ["rose", "rose most"],
  ["question", "question, A–Z"],
  ["file", "as in the file"],
];
const NOTES = { popularity: "head, torso, tail: how often the subject is written about, from often to seldom" };
const F = {}; // filter -> its control

// --- what a fact is -------------------------------------------------------------------------------------------

const share = (digits, i) => (digits[i] === "-" || digits[i] === undefined ? null : DIGITS.indexOf(digits[i]) / STEPS);
const ofRun = () => EX.run[STATE.grader];
const kinOf = (i) => Number(EX.run.kin[i] ?? 4);
const named = (column, i) => {
  const at = EX.facts[column].of[i];
  return at < 0 ? "" : EX.facts[column].names[at];
};

/** 0 Unknown, 1 WeaklyKnown, 2 MaybeKnown, 3 HighlyKnown, -1 not asked. */
function category(i, side) {
  const digit = ofRun()[side][i];
  if (digit === "-" || digit === undefined) return -1;
  if (digit === "0") return EX.weak[side].has(i) ? 1 : 0;
  return digit === DIGITS[STEPS] ? 3 : 2;
}
const BITS = 5; // causes in one character, as in report/explorer.py
const WIDTH = Math.ceil(CAUSES.length / BITS); // characters a fact
function causesOf(i, run = ofRun()) {
  const packed = run.causes.slice(i * WIDTH, (i + 1) * WIDTH);
  return CAUSES.filter((_, k) => DIGITS.indexOf(packed[Math.floor(k / BITS)] ?? "0") & (1 << (k % BITS)));
}

// --- building -----------------------------------------------------------------------------------------------

function startExplorer() {
  const field = ([key, name, options]) => {
    const control =
      options === null
        ? el("input", {
            type: "search",
            id: `f-${key}`,
            placeholder: "question, answer or subject",
            autocomplete: "off",
            spellcheck: false,
          })
        : el("select", { id: `f-${key}` });
    F[key] = control;
    if (options) setOptions(key, options);
    control.addEventListener(options === null ? "input" : "change", () => apply());
    return el("label", { class: `f f-${key}`, title: NOTES[key] }, el("span", null, name), control);
  };
  const sort = el(
    "select",
    { id: "f-sort", on: { change: () => apply() } },
    SORTS.map(([v, n]) => el("option", { value: v }, n)),
  );
  F.sort = sort;
  EX.list = el(
    "div",
    {
      class: "list",
      id: "list",
      role: "grid",
      tabindex: "0",
      "aria-label": "Facts",
      "aria-colcount": 3,
      on: { scroll: paint, keydown: onKey, click: onClick },
    },
    (EX.space = el("div", { class: "space", role: "presentation" })),
  );
  EX.count = el("p", { class: "count", role: "status" });
  EX.detail = el("article", { class: "detail", id: "detail", tabindex: "-1", "aria-label": "The chosen fact" });
  EX.moreButton = el("button", { type: "button", hidden: true, on: { click: loadMore } });
  fill(
    byId("explorer"),
    el(
      "form",
      { class: "filters", role: "search", "aria-label": "Filter the facts", on: { submit: (e) => e.preventDefault() } },
      FILTERS.map(field),
      el("label", { class: "f" }, el("span", null, "Order"), sort),
    ),
    el(
      "div",
      { class: "tools" },
      EX.count,
      el("span", { class: "grow" }),
      EX.moreButton,
      el("button", { type: "button", id: "clear", on: { click: clearFilters } }, "Clear"),
      el("button", { type: "button", id: "copy", on: { click: copyLink } }, "Copy link"),
      el("button", { type: "button", id: "download", on: { click: download } }, "Download CSV"),
    ),
    el("p", { class: "hint small keys" }, "Arrow keys move, Enter opens, / searches, Esc goes back to the list."),
    el("div", { class: "panes" }, EX.list, EX.detail),
  );
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) {
      e.preventDefault();
      F.q.focus();
    }
  });
  addEventListener("resize", paint);
  addEventListener("hashchange", () => fromAddress());
}

function setOptions(key, values) {
  const chosen = F[key].value;
  fill(
    F[key],
    el("option", { value: "" }, "any"),
    ...values.map((v) => el("option", { value: v }, shown(key === "cause" ? CAUSE_WORDS[v] : v).slice(0, 60))),
  );
  F[key].value = values.includes(chosen) ? chosen : "";
}

/** The facts and the chosen run's columns are there: fill the controls and filter. */
async function showFacts() {
  const run = STATE.run;
  try {
    if (!EX.facts) {
      EX.facts = await asset("facts-0");
      EX.more = 1;
      prepareFacts();
    }
    const columns = await asset(`run-${run}`);
    if (run !== STATE.run) return; // another was chosen meanwhile
    EX.run = columns;
    EX.version += 1;
  } catch (error) {
    EX.count.textContent = error.message;
    return;
  }
  EX.weak = { before: new Set(ofRun().weak[0]), after: new Set(ofRun().weak[1]) };
  fromAddress(true);
  performance.mark("listed");
}

function prepareFacts() {
  const f = EX.facts;
  EX.search = f.question.map((q, i) =>
    `${q}\n${f.answers[i].join("\n")}\n${f.subject[i] ?? ""}\n${f.id[i]}`.toLowerCase(),
  );
  EX.place = new Map(f.id.map((id, i) => [id, i]));
  for (const key of ["relation", "domain", "popularity"]) setOptions(key, f[key].names);
  EX.moreButton.hidden = f.id.length >= DATA.n_facts;
  EX.moreButton.textContent = `Load the other ${(DATA.n_facts - f.id.length).toLocaleString("en")} facts`;
}

/** Add the facts that stand in chunks beside the page. */
async function loadMore() {
  EX.moreButton.disabled = true;
  try {
    while (EX.facts.id.length < DATA.n_facts) {
      const next = await asset(`facts-${EX.more}`);
      if (!next) break;
      EX.more += 1;
      for (const key of ["id", "question", "answers", "subject"]) EX.facts[key] = EX.facts[key].concat(next[key]);
      for (const key of ["relation", "domain", "range", "popularity"]) {
        const names = EX.facts[key].names;
        const to = next[key].names.map((n) => {
          let at = names.indexOf(n);
          if (at < 0) {
            at = names.length;
            names.push(n);
          }
          return at;
        });
        EX.facts[key].of = EX.facts[key].of.concat(next[key].of.map((at) => (at < 0 ? at : to[at])));
      }
    }
    prepareFacts();
    apply();
  } catch (error) {
    EX.count.textContent = error.message;
  }
  EX.moreButton.disabled = false;
}

// --- filter and order ---------------------------------------------------------------------------------------

function test() {
  const words = F.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const pick = (key, names) => (F[key].value === "" ? null : names.indexOf(F[key].value));
  const before = pick("before", DATA.categories);
  const after = pick("after", DATA.categories);
  const columns = ["relation", "domain", "popularity"]
    .map((key) => [EX.facts[key].of, pick(key, EX.facts[key].names)])
    .filter((c) => c[1] !== null);
  const cause = F.cause.value;
  const kin = F.kin.value === "trained" ? -2 : pick("kin", KIN_WORDS);
  const move = F.move.value;
  const run = ofRun();
  return (i) => {
    for (const [of, at] of columns) if (of[i] !== at) return false;
    if (kin !== null) {
      const k = kinOf(i);
      if (kin === -2 ? k < 5 : k !== kin) return false;
    }
    if (before !== null || after !== null || move || cause) {
      const b = category(i, "before");
      const a = category(i, "after");
      if (before !== null && b !== before) return false;
      if (after !== null && a !== after) return false;
      if (move && (b < 0 || a < 0 || !{ fell: a < b, rose: a > b, moved: a !== b, stayed: a === b }[move]))
        return false;
      const held = cause ? causesOf(i, run) : [];
      if (cause === "unexplained" ? held.length || a === b || kinOf(i) >= 5 : cause && !held.includes(cause))
        return false;
    }
    for (const word of words) if (!EX.search[i].includes(word)) return false;
    return true;
  };
}

/** Filter, order, draw; returns the milliseconds it took. */
function apply(keepAddress) {
  if (!EX.facts || !EX.run) return 0;
  const from = performance.now();
  const keep = test();
  const order = [];
  for (let i = 0; i < EX.facts.id.length; i += 1) if (keep(i)) order.push(i);
  const sort = F.sort.value;
  if (sort === "question") order.sort((a, b) => (EX.facts.question[a] < EX.facts.question[b] ? -1 : 1));
  else if (sort !== "file") {
    const run = ofRun();
    const sign = sort === "rose" ? -1 : 1;
    const step = (i) => sign * Math.sign(category(i, "after") - category(i, "before"));
    const delta = order.map((i) => [sign * ((share(run.after, i) ?? 0) - (share(run.before, i) ?? 0)), i, step(i)]);
    delta.sort((a, b) => a[2] - b[2] || a[0] - b[0] || a[1] - b[1]);
    delta.forEach((d, k) => {
      order[k] = d[1];
    });
  }
  EX.order = order;
  EX.active = order.length ? Math.max(0, EX.open ? order.indexOf(EX.place.get(EX.open)) : 0) : -1;
  EX.space.style.height = `${order.length * ROW}px`;
  EX.list.setAttribute("aria-rowcount", order.length);
  EX.list.scrollTop = EX.active * ROW > EX.list.clientHeight ? EX.active * ROW - ROW : 0;
  const all = EX.facts.id.length;
  const loaded = all < DATA.n_facts ? ` (${all.toLocaleString("en")} loaded)` : "";
  EX.count.textContent = `${order.length.toLocaleString("en")} of ${DATA.n_facts.toLocaleString("en")} facts${loaded}`;
  paint();
  if (!keepAddress) toAddress();
  const ms = performance.now() - from;
  EX.list.dataset.ms = ms.toFixed(1);
  return ms;
}

function clearFilters() {
  for (const key of Object.keys(F)) F[key].value = "";
  apply();
}
