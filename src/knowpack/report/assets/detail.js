// One fact in full: the answers before and after side by side, the prompt, the nearest training facts.

async function openFact(id, focus) {
  const i = EX.place?.get(id);
  if (i === undefined) {
    fill(EX.detail, el("p", { class: "empty" }, "This fact is not among those loaded."));
    return;
  }
  EX.open = id;
  toAddress();
  paint();
  fill(EX.detail, el("p", { class: "empty" }, "Loading the answers…"));
  const block = Math.floor(i / DATA.chunks.block);
  const run = STATE.run;
  let parts;
  try {
    parts = await Promise.all([asset(`answers-${DATA.runs[run].base}-${block}`), asset(`answers-${run}-${block}`)]);
  } catch (error) {
    parts = [null, null, error.message];
  }
  if (EX.open !== id || run !== STATE.run) return;
  const [before, after] = parts.map((part) => (part && part.seen ? part : null));
  const at = i % DATA.chunks.block;
  fill(
    EX.detail,
    el("h3", null, alien(EX.facts.question[i])),
    facts(i),
    parts[2] ? el("p", { class: "warn" }, parts[2]) : null,
    answersTable(before, after, at),
    el("p", { class: "small signs" }, `✓ ${DATA.answer} · ∅ refused · “·” wrong; # is the prompt`),
    wordings(after, at),
    prompts(i),
    nearest(i, after, at),
  );
  if (focus) EX.detail.focus();
  else if (innerWidth < 820 && EX.byHand) EX.detail.scrollIntoView({ block: "start" });
  EX.byHand = true;
}

function facts(i) {
  const line = (name, value) => (value ? [el("dt", null, name), el("dd", null, value)] : []);
  const aliases = EX.facts.answers[i].slice(1);
  const b = category(i, "before");
  const a = category(i, "after");
  return el(
    "dl",
    null,
    line("Answer", alien(EX.facts.answers[i][0] ?? "")),
    line("Aliases", aliases.length ? alien(aliases.join(" · ")) : null),
    line("Subject", EX.facts.subject[i] ? alien(EX.facts.subject[i]) : null),
    line(
      "Relation",
      alien(
        [named("relation", i), [named("domain", i), named("range", i)].filter(Boolean).join(" → ")]
          .filter(Boolean)
          .join(", "),
      ),
    ),
    line("Popularity", named("popularity", i) && `${named("popularity", i)} (${NOTES.popularity})`),
    line("Training", KIN_WORDS[kinOf(i)]),
    line(
      "Moved",
      el(
        "span",
        null,
        chip(i, "before"),
        " → ",
        chip(i, "after"),
        b === a
          ? ""
          : ` ${percent(share(ofRun().before, i), 0)} to ${percent(share(ofRun().after, i), 0)} ${DATA.answer}s`,
      ),
    ),
    b === a || kinOf(i) >= 5
      ? []
      : line(
          "Causes",
          causesOf(i)
            .map((c) => CAUSE_WORDS[c])
            .join(", ") || "unexplained",
        ),
  );
}

/** Where an alias stands in a text, -1 = nowhere: as a whole word; of the paper's grader anywhere, as it looks. */
function placeOf(alias, text) {
  const low = text.toLowerCase();
  if (low.length !== text.length) return -1;
  const wanted = alias.toLowerCase();
  const inWords = /^[\x20-\x7e]*$/.test(wanted) && STATE.grader !== "paper";
  if (!inWords) return low.indexOf(wanted);
  const exact = wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return low.search(new RegExp(`(?<![\\p{L}\\p{N}])${exact}(?![\\p{L}\\p{N}])`, "u"));
}

/** The answer with the matched alias marked; where grading normalised it, the alias stands beside it. */
function answer(seen, which) {
  const [text, byDefault, byPaper, refusedBits, cut] = seen[which];
  const alias = STATE.grader === "paper" ? byPaper : byDefault;
  const refused = refusedBits & (STATE.grader === "paper" ? 2 : 1);
  const words = shown(text);
  const at = alias === null ? -1 : placeOf(shown(alias), words);
  const body = el("bdi", { dir: "auto", class: "said" });
  if (alias && at >= 0)
    body.append(
      words.slice(0, at),
      el("mark", null, words.slice(at, at + shown(alias).length)),
      words.slice(at + shown(alias).length),
    );
  else body.append(words || "(empty)");
  return el(
    "td",
    { class: alias !== null ? "right" : refused ? "refused" : "wrong" },
    el(
      "span",
      { class: "sign", role: "img", "aria-label": alias !== null ? DATA.answer : refused ? "refused" : "wrong" },
      alias !== null ? "✓" : refused ? "∅" : "·",
    ),
    body,
    alias !== null && at < 0 ? el("span", { class: "small" }, " matched: ", alien(alias)) : null,
    cut ? el("span", { class: "small" }, ` … ${cut.toLocaleString("en")} more characters`) : null,
  );
}

function answersTable(before, after, at) {
  const left = before?.of[at] ?? [];
  const right = after?.of[at] ?? [];
  if (!left.length && !right.length) return el("p", { class: "warn" }, "The answers to this fact were not kept.");
  const none = () => el("td", { class: "wrong" }, "–");
  const n = Math.max(left.length, right.length);
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers before and after" },
    el(
      "table",
      { class: "answers" },
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          el("th", { scope: "col" }, el("abbr", { title: "prompt" }, "#")),
          el("th", { scope: "col" }, "Before"),
          el("th", { scope: "col" }, "After"),
        ),
      ),
      el(
        "tbody",
        null,
        Array.from({ length: n }, (_, k) =>
          el(
            "tr",
            null,
            el("th", { scope: "row" }, String(k + 1)),
            left[k] === undefined ? none() : answer(before.seen, left[k]),
            right[k] === undefined ? none() : answer(after.seen, right[k]),
          ),
        ),
      ),
    ),
  );
}

function wordings(after, at) {
  const forms = after?.forms?.[at];
  if (!forms) return null;
  return el(
    "details",
    null,
    el("summary", null, "In other wordings"),
    Object.entries(forms).map(([form, which]) =>
      el(
        "table",
        { class: "answers" },
        el("caption", null, `Wording ${form}`),
        el(
          "tbody",
          null,
          which.map((w, k) => el("tr", null, el("th", { scope: "row" }, String(k + 1)), answer(after.seen, w))),
        ),
      ),
    ),
  );
}

function prompts(i) {
  const { system, shots, chat } = DATA.prompts[DATA.runs[STATE.run].base];
  if (!shots) return el("p", { class: "small" }, "The prompts were not kept with the base.");
  const lines = (k) =>
    el(
      "pre",
      { tabindex: "0", role: "region", "aria-label": `Prompt ${k + 1}` },
      alien(
        [
          ...(chat && system ? [`[system] ${system}`] : []),
          ...shots[k].flatMap((s) => [
            `${chat ? "[user] " : ""}Question: ${s.question ?? s[0]}`,
            `${chat ? "[assistant] " : ""}Answer: ${s.answer ?? s[1]}`,
          ]),
          `${chat ? "[user] " : ""}Question: ${EX.facts.question[i]}`,
        ].join("\n"),
      ),
    );
  const box = el("div", null, lines(0));
  const pick = el(
    "select",
    { "aria-label": "Which prompt", on: { change: (e) => fill(box, lines(Number(e.target.value))) } },
    shots.map((_, k) => el("option", { value: String(k) }, `prompt ${k + 1}`)),
  );
  return el("details", { class: "prompt" }, el("summary", null, "The prompt"), pick, box);
}
