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
    F.sort.value = "fell";
    apply();
    byId("facts-title").scrollIntoView();
    EX.list.focus({ preventScroll: true });
  }
});
document.addEventListener("change", (event) => {
  const of = event.target.dataset.for;
  if (of)
    for (const one of document.querySelectorAll(`.variant[data-of=${of}]`))
      one.hidden = one.dataset.name !== event.target.value;
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
  showFacts();
}
start();
