// The page's switches: another cell or grader puts its view's markup in place; colours; the lost facts in the explorer.

const SLOTS = ["first", "lost", "moved", "figures", "how", "study"];
const ORIGINAL = Object.fromEntries(SLOTS.map((name) => [name, byId(`slot-${name}`).innerHTML]));
let turn = 0;

/** Put a view's markup in place. It is knowpack's own (report/markup.py escapes all texts), bound by the policy. */
async function showView() {
  turn += 1;
  const mine = turn;
  document.documentElement.dataset.drawn = "no";
  const isFirst = STATE.run === DATA.open && STATE.grader === "default";
  let found = ORIGINAL;
  try {
    if (!isFirst)
      found = { ...(await asset(`view-${STATE.run}-${STATE.grader}`)), ...(await asset(`study-${STATE.grader}`)) };
  } catch (error) {
    found = {};
    byId("slot-first").textContent = error.message;
  }
  if (mine !== turn) return;
  for (const name of SLOTS) if (found[name] !== undefined) byId(`slot-${name}`).innerHTML = found[name];
  document.documentElement.dataset.drawn = "yes";
  markEdges();
}

function fillRuns() {
  const select = byId("run");
  const seeds = new Set(DATA.runs.map((r) => r.seed)).size > 1;
  select.append(
    ...DATA.runs.map((r, i) => el("option", { value: String(i) }, shown(r.label) + (seeds ? ` · seed ${r.seed}` : ""))),
  );
  byId("run-pick").hidden = DATA.runs.length < 2;
  select.addEventListener("change", () => choose({ run: Number(select.value) }));
  for (const radio of document.querySelectorAll("input[name=grader]"))
    radio.addEventListener("change", () => choose({ grader: radio.value }));
}

function toControls() {
  byId("run").value = String(STATE.run);
  document.querySelector(`input[name=grader][value=${STATE.grader}]`).checked = true;
}

listeners.push(() => {
  toControls();
  showView();
  toAddress();
  showFacts();
});

/** Clicks inside the slots: a cell's name opens it, the lost facts open in the explorer. */
document.addEventListener("click", (event) => {
  const cell = event.target.closest("button[data-run]");
  if (cell) choose({ run: Number(cell.dataset.run) });
  const link = event.target.closest("a.to-explorer");
  if (link) {
    event.preventDefault();
    clearFilters();
    F.move.value = "fell";
    F.sort.value = "";
    apply();
    byId("facts-title").scrollIntoView();
    EX.list.focus({ preventScroll: true });
  }
});
/** A lost fact opens in the explorer, in the cell and under the grader that are chosen. */
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.to-fact");
  if (!link) return;
  event.preventDefault();
  showFact(new URLSearchParams(link.hash.slice(1)).get("fact"));
});
function showFact(id) {
  EX.open = id;
  clearFilters();
  openFact(id, true);
  byId("facts-title").scrollIntoView();
}

// --- tables that go on beyond an edge fade there ---------------------------------------------------------------

function markEdges() {
  for (const box of document.querySelectorAll(".scroll")) markEdge(box);
}
function markEdge(box) {
  box.classList.toggle("more-right", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
  box.classList.toggle("more-left", box.scrollLeft > 2);
}
document.addEventListener("scroll", (event) => event.target.matches?.(".scroll") && markEdge(event.target), true);
document.addEventListener("toggle", markEdges, true);
addEventListener("resize", markEdges);

// --- on paper nothing is folded away (page.css says the same for pages without a script) -------------------------

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});

document.addEventListener("change", (event) => {
  const of = event.target.dataset.for;
  if (of)
    for (const one of document.querySelectorAll(`.variant[data-of=${of}]`))
      one.hidden = one.dataset.name !== event.target.value;
  markEdges();
});

function start() {
  document.documentElement.classList.add("js");
  startTheme();
  fillRuns();
  if (!byId("slot-study").hasChildNodes()) {
    byId("study").remove();
    byId("jump-study").remove();
    SLOTS.pop();
  }
  const given = readAddress();
  const at = DATA.runs.findIndex((r) => r.id === given.run);
  if (at >= 0) STATE.run = at;
  if (DATA.graders.includes(given.grader)) STATE.grader = given.grader;
  toControls();
  showView();
  startExplorer();
  showFacts().then(() => given.fact && byId("facts-title").scrollIntoView());
}
start();
