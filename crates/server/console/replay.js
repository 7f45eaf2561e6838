// The page on which a log is replayed: what the policy that runs now would have done to it.
import { card, count, el, figure, percent, say, table } from "./dom.js";
import { feed, get, save } from "./net.js";
import { heading } from "./pages.js";

const OWN = "own";

/** Replay: a log in, a report out. */
export async function replay() {
  const [able, policy, { role }] = await Promise.all([get("/v1/replay"), get("/v1/policy"), get("/v1/overview?samples=2")]);
  if (role === "viewer") {
    return { node: [heading("Replay"), el("p", {}, "Replaying a log costs the server a core for a while, so it needs the operator's token.")] };
  }
  const [file, own] = [el("input", { type: "file", required: true }), el("input", { placeholder: "$remote_addr - [$time_local] \"$request\" $status" })];
  const named = [["auto", "find out"], ...able.formats.map((name) => [name, name]), [OWN, "a log_format of nginx …"]];
  const format = el("select", {}, named.map(([value, words]) => el("option", { value }, words)));
  const ownLabel = el("label", { hidden: true }, "log_format", own);
  format.addEventListener("change", () => { ownLabel.hidden = format.value !== OWN; });
  const start = el("button", { class: "main" }, "Replay");
  const bar = el("progress", { max: 1, value: 0, "aria-label": "How far the replay is" });
  const words = el("span", { role: "status" });
  let call = null;
  const running = el("div", { class: "running", hidden: true }, words, bar, el("button", { type: "button", onclick: () => call?.stop() }, "Stop"));
  const result = el("div", { class: "result" });

  const tell = (text, share) => {
    // Of a status that is read aloud only what has changed is worth saying.
    if (words.textContent !== text) words.textContent = text;
    bar.value = share;
  };
  const run = async (log) => {
    if (call) return;
    if (log.size > able.most_bytes) {
      say(`${log.name} has ${count(log.size / 2 ** 20)} MiB, and the console takes ${count(able.most_bytes / 2 ** 20)}. Compress it (gzip or zstd), or run tidegate replay, which reads logs of any length.`, true);
      return;
    }
    const query = new URLSearchParams({ format: format.value === OWN ? own.value : format.value, name: log.name });
    let [found, error] = [null, null];
    result.replaceChildren();
    [start.disabled, running.hidden] = [true, false];
    tell("Sending", 0);
    call = feed(`/v1/replay?${query}`, log, (share) => tell(share < 1 ? "Sending" : "Replaying", share < 1 ? share : 0), (event) => {
      if (event.progress) tell("Replaying", event.progress.read / Math.max(event.progress.of, 1));
      found = event.report ?? found;
      error = event.error ?? error;
    });
    try {
      await call.done;
      if (!found) throw new Error(error ?? "The limiter ended without a report; its log says more.");
      if (found.warning) say(found.warning, true);
      result.replaceChildren(...report(found));
      result.querySelector("h2").focus();
    } catch (problem) {
      // As the command tells it, line by line.
      result.replaceChildren(card("It could not be replayed", el("pre", { class: "told", role: "alert" }, problem.message)));
    }
    call = null;
    [start.disabled, running.hidden] = [false, true];
  };

  const submit = (event) => {
    event.preventDefault();
    if (file.files.length) run(file.files[0]);
  };
  const over = (is) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", is);
  };
  const drop = (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length) run(event.dataTransfer.files[0]);
  };
  const place = el("section", { class: "card drop", "aria-label": "The log", ondragover: over(true), ondragleave: over(false), ondrop: drop },
    el("form", { class: "tools", onsubmit: submit }, el("label", {}, "Access log, or drop it here", file), el("label", {}, "Format", format), ownLabel, start),
    el("p", { class: "soft" }, `Plain, gzip or zstd, up to ${count(able.most_bytes / 2 ** 20)} MiB.`), running);
  const mode = policy.mode === "shadow" ? "in shadow mode, so a report says what enforcement would do" : "enforcing";
  return {
    node: [
      heading("Replay"),
      el("p", {}, "What would have become of each client of a log, under ", el("a", { href: "#/policy" }, "the policy"), ` that this server runs with now (${mode}) and the model it uses. What is set by hand is left out. Nobody is limited by a replay, and nothing is learned from it.`),
      place, result,
    ],
    leave: () => call?.stop(),
  };
}

function report(found) {
  const figures = [["requests", count(found.requests)], ["denied", percent(found.requests ? found.denied / found.requests : null)], ["clients", count(found.clients)], ["clients denied anything", count(found.clients_denied)]];
  const shown = figures.map(([words, value]) => {
    const one = figure(words);
    one.set(value);
    return one.node;
  });
  const name = `${found.name.replace(/\.(gz|zst|log|txt|jsonl?)$/g, "")}-replay.html`;
  const rows = [{ head: "Line", number: true, cell: (row) => row.line }, { head: "What is wrong", wrap: true, cell: (row) => row.reason }];
  return [
    el("section", { class: "card" },
      el("h2", { tabindex: "-1" }, `What became of ${found.name}`), found.words.map((sentence) => el("p", {}, sentence)),
      el("p", { class: "soft" }, `${count(found.lines - found.unparsable)} lines read as ${found.format}, ${count(found.unparsable)} skipped.`),
      el("div", { class: "actions" },
        el("button", { type: "button", class: "main", onclick: () => save(new Blob([found.html], { type: "text/html" }), name) }, "Save the report"),
        found.view && el("a", { class: "button", href: found.view, target: "_blank", rel: "noopener noreferrer" }, "Open it in a tab of its own"))),
    el("div", { class: "figures" }, shown),
    found.view && el("iframe", { class: "report", src: found.view, sandbox: true, title: `The report on ${found.name}`, referrerpolicy: "no-referrer" }),
    found.unparsable > 0 && el("section", { class: "card" }, el("h2", {}, "Lines that could not be read"), table(found.unparsable > found.first_unparsable.length ? "The first of them" : "All of them", rows, found.first_unparsable)),
  ].filter(Boolean);
}
