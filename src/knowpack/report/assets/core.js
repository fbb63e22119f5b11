"use strict";
// The page's ground: data, texts, state in the address, colours. Texts reach the page by textContent only.

const DATA = JSON.parse(document.getElementById("summary").textContent);
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const STEPS = 60;
const KIN_WORDS = [
  ...DATA.kinships,
  DATA.trained_known ? "not trained" : "not known",
  ...DATA.kinds.map((kind) => `trained: ${kind}`),
].map((word) => word.replaceAll("_", " ")); // by the digits of report/explorer.py
const CAUSES = DATA.causes.map(([name]) => name); // order and labels are the rules' of measure/causes.py
const CAUSE_WORDS = Object.fromEntries([...DATA.causes, ["unexplained", "unexplained"]]);

// --- elements -----------------------------------------------------------------------------------------------

/** An element with properties and children; strings become text nodes, never markup. */
function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "on") for (const [event, handle] of Object.entries(value)) node.addEventListener(event, handle);
    else if (key in node && typeof value !== "string") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

/** Replace what a node holds; null children are left out. */
const fill = (node, ...children) =>
  node.replaceChildren(...children.flat().filter((c) => c !== null && c !== undefined));

const byId = (id) => document.getElementById(id);

/** Text of unknown origin: control characters become visible, direction is kept inside. */
function shown(text) {
  return String(text)
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421");
}
const alien = (text, props) => el("bdi", { dir: "auto", ...props }, shown(text));

// --- numbers ------------------------------------------------------------------------------------------------

function percent(value, digits) {
  if (value === null || value === undefined) return "–";
  const text = (100 * value).toFixed(digits ?? (Math.abs(value) < 0.0995 ? 1 : 0));
  return `${(Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212")}%`;
}

// --- state in the address -----------------------------------------------------------------------------------

const STATE = { run: DATA.open, grader: "default" };
const listeners = [];

function readAddress() {
  const text = location.hash.replace(/^#/, "");
  return text.includes("=") ? Object.fromEntries(new URLSearchParams(text)) : {};
}

/** Write what is chosen into the address, without a new entry in the history. */
function writeAddress(values) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values))
    if (value !== "" && value !== null && value !== undefined) search.set(key, value);
  history.replaceState(null, "", `#${search}`);
}

function choose(change) {
  Object.assign(STATE, change);
  for (const listener of listeners) listener(change);
}

// --- data beside the summary: in the page, else in chunks beside it --------------------------------------------

const waiting = {};
const loaded = {};

/** A part of the data by name; resolves to null where it does not exist. */
function asset(name) {
  if (!(name in loaded)) loaded[name] = find(name);
  return loaded[name];
}

function find(name) {
  const here = byId(`asset-${name}`);
  if (here)
    return here.type === "application/json"
      ? Promise.resolve(JSON.parse(here.textContent))
      : unpacked(here.textContent);
  if (!DATA.chunks.names.includes(name)) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    waiting[name] = resolve;
    const script = el("script", { src: `${DATA.chunks.folder}/${name}.js` });
    script.onerror = () => {
      delete loaded[name];
      reject(new Error(`${DATA.chunks.folder}/${name}.js is not there: keep the folder beside this page`));
    };
    document.head.append(script);
  });
}

/** Base64 of gzip of JSON -> its value. */
async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Called by a chunk. */
async function knowpackChunk(name, packed) {
  waiting[name]?.(await unpacked(packed));
  delete waiting[name];
}

// --- colours ------------------------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme-name").textContent = theme;
  const next = THEMES[(THEMES.indexOf(theme) + 1) % 3];
  byId("theme").setAttribute("aria-label", `theme: ${theme}; press for ${next}`);
  try {
    localStorage.setItem("knowpack-theme", theme);
  } catch {
    /* a page from disk may have no storage */
  }
}
function startTheme() {
  let kept = "auto";
  try {
    kept = localStorage.getItem("knowpack-theme") || "auto";
  } catch {
    /* as above */
  }
  setTheme(THEMES.includes(kept) ? kept : "auto");
  byId("theme").addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
  });
}
