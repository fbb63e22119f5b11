// The explorer's list, which draws only the rows in sight; the address, the link, the file of what is filtered.

// --- the list -----------------------------------------------------------------------------------------------

function chip(i, side) {
  const c = category(i, side);
  if (c < 0) return el("span", { class: "chip none" }, "–");
  return el(
    "span",
    { class: `chip c${c}`, title: `${DATA.categories[c]}: ${percent(share(ofRun()[side], i), 0)} ${DATA.answer}s` },
    DATA.chips[c],
  );
}

function row(k) {
  const i = EX.order[k];
  const b = category(i, "before");
  const a = category(i, "after");
  const tags = [
    ...(kinOf(i) >= 5 ? [el("span", { class: "tag trained" }, "trained")] : []),
    ...causesOf(i).map((c) => el("span", { class: "tag" }, CAUSE_WORDS[c])),
  ];
  const node = el(
    "div",
    {
      class: `row${k === EX.active ? " active" : ""}${EX.facts.id[i] === EX.open ? " open" : ""}`,
      role: "row",
      id: `row-${k}`,
      "aria-rowindex": k + 1,
      "aria-selected": EX.facts.id[i] === EX.open ? "true" : "false",
    },
    el(
      "div",
      { class: "what", role: "gridcell" },
      alien(EX.facts.question[i].slice(0, 300), { class: "q" }),
      el("span", { class: "a" }, alien(EX.facts.answers[i][0]?.slice(0, 200) ?? "")),
    ),
    el("div", { class: "tags", role: "gridcell" }, tags),
    el(
      "div",
      { class: "went", role: "gridcell" },
      chip(i, "before"),
      el(
        "span",
        { class: a < b ? "arrow down" : a > b ? "arrow up" : "arrow", "aria-hidden": "true" },
        a < b ? "↘" : a > b ? "↗" : "→",
      ),
      chip(i, "after"),
    ),
  );
  node.style.top = `${k * ROW}px`;
  return node;
}

/** Draw the rows in sight. Those that stay as they are stay in the page: a press begun on one must end as a click. */
function paint() {
  if (!EX.run) return;
  const first = Math.max(0, Math.floor(EX.list.scrollTop / ROW) - 4);
  const last = Math.min(EX.order.length, first + Math.ceil((EX.list.clientHeight || 500) / ROW) + 8);
  const rows = new Map();
  for (let k = first; k < last; k += 1) {
    const i = EX.order[k];
    const key = [k, i, k === EX.active, EX.facts.id[i] === EX.open, EX.version].join();
    rows.set(key, EX.rows.get(key) ?? row(k));
  }
  if (!EX.order.length)
    rows.set(
      "none",
      el(
        "div",
        { role: "row" },
        el("div", { class: "empty", role: "gridcell" }, "No fact is like this. Clear a filter."),
      ),
    );
  for (const [key, node] of EX.rows) if (rows.get(key) !== node) node.remove();
  let next = EX.space.firstChild;
  for (const node of rows.values()) {
    if (node === next) next = next.nextSibling;
    else EX.space.insertBefore(node, next);
  }
  EX.rows = rows;
  if (EX.active >= first && EX.active < last) EX.list.setAttribute("aria-activedescendant", `row-${EX.active}`);
  else EX.list.removeAttribute("aria-activedescendant");
}

function onKey(event) {
  const page = Math.max(1, Math.floor(EX.list.clientHeight / ROW) - 1);
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
  if (step !== undefined) {
    EX.active = Math.max(0, Math.min(EX.order.length - 1, EX.active + step));
    const top = EX.active * ROW;
    if (top < EX.list.scrollTop) EX.list.scrollTop = top;
    if (top + ROW > EX.list.scrollTop + EX.list.clientHeight) EX.list.scrollTop = top + ROW - EX.list.clientHeight;
    paint();
  } else if ((event.key === "Enter" || event.key === " ") && EX.active >= 0)
    openFact(EX.facts.id[EX.order[EX.active]], true);
  else return;
  event.preventDefault();
}

/** By place, not by node: the rows may have been drawn anew between the press and the release. */
function onClick(event) {
  const k = Math.floor((event.clientY - EX.space.getBoundingClientRect().top) / ROW);
  if (k < 0 || k >= EX.order.length) return;
  EX.active = k;
  openFact(EX.facts.id[EX.order[EX.active]], false);
  paint();
}

// --- the address, the link, the file --------------------------------------------------------------------------

function toAddress() {
  const values = {
    run: STATE.run === DATA.open ? "" : DATA.runs[STATE.run].id,
    grader: STATE.grader === "default" ? "" : STATE.grader,
  };
  for (const key of Object.keys(F)) values[key] = F[key].value;
  writeAddress({ ...values, fact: EX.open });
}

function fromAddress(inside) {
  const values = readAddress();
  const grader = DATA.graders.includes(values.grader) ? values.grader : inside ? STATE.grader : "default";
  const at = DATA.runs.findIndex((r) => r.id === values.run);
  const run = at >= 0 ? at : inside ? STATE.run : DATA.open;
  if (!inside && (run !== STATE.run || grader !== STATE.grader)) {
    choose({ run, grader });
    return;
  }
  for (const key of Object.keys(F)) if (inside !== true || key in values) F[key].value = values[key] ?? "";
  for (const key of Object.keys(F)) if (F[key].selectedIndex === -1) F[key].value = "";
  EX.open = values.fact ?? EX.open;
  apply(true);
  if (EX.open) openFact(EX.open, false);
}

async function copyLink() {
  toAddress();
  const button = byId("copy");
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "The link is in the address bar";
  }
  setTimeout(() => {
    button.textContent = "Copy link";
  }, 2000);
}

/** A cell of a CSV file: quoted; text that a spreadsheet would run as a formula gets an apostrophe in front. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[\s\u0000-\u001f\ufeff]*[=+\-@＝＋－＠]|^[\t\r\n]/.test(value) ? `'${value}` : String(value);
  return `"${text.replace(/\u0000/g, "").replaceAll('"', '""')}"`;
}

function csv() {
  const heads = [
    "fact_id",
    "question",
    "answers",
    "subject",
    "relation",
    "domain",
    "range",
    "popularity",
    "training",
    "before",
    "after",
    "p_correct_before",
    "p_correct_after",
    "causes",
  ];
  const word = (c) => (c < 0 ? null : DATA.categories[c]);
  const rounded = (p) => (p === null ? null : Math.round(1000 * p) / 1000);
  const lines = EX.order.map((i) => [
    EX.facts.id[i],
    EX.facts.question[i],
    EX.facts.answers[i].join(" | "),
    EX.facts.subject[i],
    ...["relation", "domain", "range", "popularity"].map((key) => named(key, i)),
    KIN_WORDS[kinOf(i)],
    word(category(i, "before")),
    word(category(i, "after")),
    rounded(share(ofRun().before, i)),
    rounded(share(ofRun().after, i)),
    causesOf(i).join(" "),
  ]);
  return [heads, ...lines].map((line) => line.map(csvCell).join(",")).join("\r\n");
}

function download() {
  const link = el("a", {
    href: URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" })),
    download: "facts.csv",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
