// The frame: which page is shown, what keeps it fresh, and the state at the top.
import { client } from "./client.js";
import { el, say } from "./dom.js";
import { get, live } from "./net.js";
import * as pages from "./pages.js";

const main = document.getElementById("main");
let shown = { node: [] };
let turn = 0;
let busy = false;
let seconds = 0;
let replays = false;

async function show() {
  const mine = ++turn;
  const [path, query = ""] = (location.hash.slice(1) || "/now").split("?");
  const [page, rest] = path.slice(1).split(/\/(.*)/);
  const build = {
    now: pages.now,
    clients: () => (rest ? client(decodeURIComponent(rest)) : pages.clients(new URLSearchParams(query))),
    incidents: () => (rest ? pages.incident(rest) : pages.incidents()),
    routes: pages.routes, model: pages.model, policy: pages.policy, actions: pages.actions,
    // There only where somebody can replay logs, and loaded when somebody wants to.
    replay: replays && (async () => (await import("./replay.js")).replay()),
  }[page];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${page}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let next;
  try {
    next = build ? await build() : { node: [pages.heading("There is no such page"), el("p", {}, el("a", { href: "#/now" }, "Back to the start"))] };
  } catch (error) {
    next = { node: [pages.heading("This can't be shown"), el("p", {}, error.message)] };
  }
  // Somebody went on while this was fetched.
  if (mine !== turn) return;
  shown.leave?.();
  shown = next;
  seconds = 0;
  main.replaceChildren(...[next.node].flat(2).filter(Boolean));
  const title = main.querySelector("h1");
  document.title = `${title?.textContent ?? ""} – Tidegate`;
  title?.focus({ preventScroll: true });
}

async function keepFresh() {
  seconds += 1;
  const due = shown.refresh && seconds % shown.every === 0;
  // Nothing moves under the hands of who is in a dialog, nor in a page that nobody sees.
  if (!due || busy || document.hidden || document.getElementById("dialog").open) return;
  busy = true;
  await shown.refresh().catch(() => {});
  busy = false;
}

function theme() {
  const button = document.getElementById("theme");
  const kinds = ["auto", "light", "dark"];
  const apply = (kind) => {
    if (kind === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = kind;
    button.textContent = `Theme: ${kind}`;
  };
  let kind = localStorage.getItem("tidegate-theme") ?? "auto";
  apply(kind);
  button.addEventListener("click", () => {
    kind = kinds[(kinds.indexOf(kind) + 1) % kinds.length];
    localStorage.setItem("tidegate-theme", kind);
    apply(kind);
  });
}

async function state() {
  const { mode, version, role, ...more } = await get("/v1/overview?samples=2");
  replays = more.replays;
  const pill = document.getElementById("mode");
  pill.textContent = mode === "shadow" ? "shadow: denies nobody" : "enforcing";
  pill.className = `pill ${mode === "shadow" ? "warn" : "good"}`;
  pill.title = `version ${version}, you are ${role}`;
  document.querySelector('nav a[href="#/replay"]').hidden = !replays || role === "viewer";
  if (role === "viewer") document.documentElement.dataset.role = "viewer";
}

theme();
window.addEventListener("hashchange", show);
await state().catch((error) => say(error.message, true));
await show();
setInterval(keepFresh, 1000);
const connection = document.getElementById("connection");
const open = document.getElementById("open-incidents");
live(
  (event) => {
    open.hidden = event.incidents === 0;
    open.textContent = event.incidents;
    open.setAttribute("aria-label", `${event.incidents} going on`);
    shown.second?.(event);
  },
  (up) => {
    connection.textContent = up ? "live" : "not connected";
    connection.className = `pill ${up ? "good" : "bad"}`;
  },
);
