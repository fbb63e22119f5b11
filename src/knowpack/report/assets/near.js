// The training facts that are nearest to one fact, and why.

/** Is an answer given in a text? As whole words; a short one (No, US) only as the answer itself or said first. */
function saysIt(answer, text) {
  const at = placeOf(answer, text);
  if (answer.length > 3 || STATE.grader === "paper" || !/^[a-z]+$/.test(answer)) return at >= 0;
  return at === 0 && !/^\s*[\p{L}\p{N}]/u.test(text.slice(answer.length));
}

/** Trained facts near this one: same subject, its answer given here, same relation, range or domain, shared words. */
function nearest(i, after, at) {
  const said = (after?.of[at] ?? []).map((w) => after.seen[w][0].toLowerCase());
  const tokens = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) || []);
  const mine = tokens(EX.facts.question[i]);
  const f = EX.facts;
  const found = [];
  for (let j = 0; j < f.id.length; j += 1) {
    if (j === i || kinOf(j) < 5) continue;
    const why = [];
    let near = 0;
    if (f.subject[i] !== null && f.subject[i] === f.subject[j]) {
      near += 100;
      why.push("same subject");
    }
    const theirs = (f.answers[j][0] ?? "").toLowerCase();
    if (
      theirs.length > 1 &&
      said.some((s) => saysIt(theirs, s)) &&
      !f.answers[i].some((a) => a.toLowerCase() === theirs)
    ) {
      near += 60;
      why.push("its answer is given here");
    }
    for (const [column, weight] of [
      ["relation", 40],
      ["range", 15],
      ["domain", 10],
    ])
      if (f[column].of[i] >= 0 && f[column].of[i] === f[column].of[j]) {
        near += weight;
        why.push(`same ${column}`);
      }
    if (near) found.push([near, j, why]);
  }
  found.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  const best = found
    .slice(0, 200)
    .map(([near, j, why]) => [near + [...tokens(f.question[j])].filter((t) => mine.has(t)).length, j, why])
    .sort((a, b) => b[0] - a[0])
    .slice(0, 5);
  if (!best.length)
    return el(
      "p",
      { class: "small" },
      DATA.trained_known
        ? "No training fact shares its subject, relation, range or domain."
        : "Which facts were trained is not known; this may be one of them.",
    );
  return el(
    "section",
    { class: "near" },
    el("h4", null, "Nearest training facts"),
    el(
      "ol",
      null,
      best.map(([, j, why]) =>
        el(
          "li",
          null,
          el(
            "button",
            { type: "button", class: "link", on: { click: () => openFact(f.id[j], true) } },
            alien(f.question[j].slice(0, 200)),
          ),
          " ",
          alien(f.answers[j][0]?.slice(0, 80) ?? ""),
          " ",
          el("span", { class: "small" }, why.slice(0, 2).join(", ")),
        ),
      ),
    ),
  );
}
