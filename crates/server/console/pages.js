// The pages but the one of a client. Each gives { node, refresh?, second? }: what is shown, what
// is called every few seconds, and what is called with each event of the stream.
import { bars, lines, meter, spark, stack } from "./charts.js";
import { ask, card, count, el, figure, limit, percent, pill, say, table, when } from "./dom.js";
import { act, download, get } from "./net.js";

/** As many samples as a chart has room for. */
const HISTORY = "/v1/overview?samples=360";
const ACTIONS = ["raise", "allow", "degrade", "throttle", "block"];
const heading = (text) => el("h1", { tabindex: "-1" }, text);
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The link to a client. */
export const link = (id, name) => el("a", { href: `#/clients/${id}` }, name);

/** Columns of a table of clients that several pages have. */
export const clientColumns = {
  name: { head: "Client", cell: (row) => link(row.id, row.name) },
  action: { head: "Now", cell: (row) => [pill(row.action), row.label !== null && row.label !== undefined && el("span", { class: "soft" }, row.label ? " abusive" : " harmless")] },
  risk: { head: "Risk", order: "risk", cell: (row) => meter(row.risk, row.action, `risk ${row.risk.toFixed(2)}`) },
  number: { head: "", number: true, cell: (row) => row.risk.toFixed(2) },
  limit: { head: "Limit", order: "limit_per_min", number: true, cell: (row) => (row.action === "block" ? "0/min" : limit(row.limit_per_min)) },
  requests: { head: "Requests", order: "requests", number: true, cell: (row) => count(row.allowed + row.denied) },
  denied: { head: "Denied", order: "denied", number: true, cell: (row) => count(row.denied) },
  seen: { head: "Last seen", order: "last_seen", cell: (row) => when(row.last_seen) },
};

/** Now: traffic, decisions, latency, what happens. */
export async function now() {
  const overview = await get(HISTORY);
  const samples = overview.history.samples;
  let every = overview.history.every;
  const figures = {
    rate: figure("requests a second"),
    denied: figure(overview.mode === "shadow" ? "would be denied" : "denied", "share of the last seconds"),
    clients: figure("clients known"),
    incidents: figure("incidents going on"),
    p99: figure("to decide, 99 of 100", "microseconds, last second"),
    flight: figure("requests in flight"),
  };
  const [traffic, risk, latency, outcomes] = ["traffic", "risk", "latency", "outcomes"].map((name) => el("div", { id: name }));
  const events = el("ul", { class: "story events", tabindex: "0", "aria-label": "Who was held back or let go, latest first" });
  const recent = [];

  const draw = () => {
    const times = samples.map((sample) => sample.time);
    // Of samples that were put together the first and the last may stand for less.
    const lasted = samples.map((sample, at) => (at ? Math.max(1, sample.time - samples[at - 1].time) : every));
    const rates = (of) => samples.map((sample, at) => of(sample) / lasted[at]);
    const passed = { name: "passed", class: "allow", values: rates((s) => Math.max(0, sum(s.actions) - s.denied)) };
    const held = { name: overview.mode === "shadow" ? "would be denied" : "denied", class: "denied", values: rates((s) => s.denied) };
    traffic.replaceChildren(samples.length ? stack(times, [passed, held], "Requests a second over time", 190, 1240) : el("p", { class: "empty" }, "The first sample comes within ten seconds."));
    const bands = [["below 0.3", "raise", 0, 3], ["0.3 to 0.5", "allow", 3, 5], ["0.5 to 0.8", "throttle", 5, 8], ["above 0.8", "block", 8, 10]];
    const banded = bands.map(([name, kind, from, to]) => ({ name, class: kind, values: rates((s) => sum(s.risk.slice(from, to))) }));
    risk.replaceChildren(stack(times, banded, "Requests a second by risk of their client"));
    latency.replaceChildren(lines(times, [
      { name: "half, µs", class: "allow", values: samples.map((s) => s.p50_us) },
      { name: "99 of 100, µs", class: "throttle", values: samples.map((s) => s.p99_us) },
    ], "Microseconds to decide"));
    outcomes.replaceChildren(lines(times, [
      { name: "4xx", class: "throttle", values: samples.map((s) => (s.outcomes[0] ? (100 * s.outcomes[1]) / s.outcomes[0] : null)) },
      { name: "5xx", class: "block", values: samples.map((s) => (s.outcomes[0] ? (100 * s.outcomes[2]) / s.outcomes[0] : null)) },
    ], "Per cent of responses that are errors"));
  };
  const show = (second) => {
    const total = sum(second.actions);
    figures.rate.set(count(total));
    figures.p99.set(second.p99_us === null ? "–" : `${count(second.p99_us)} µs`);
  };
  const share = (sample) => figures.denied.set(sample && sum(sample.actions) ? percent(sample.denied / sum(sample.actions)) : "–");
  figures.clients.set(count(overview.clients));
  figures.incidents.set(count(overview.incidents));
  share(samples.at(-1));
  draw();

  return {
    node: [
      heading("Now"),
      overview.mode === "shadow" && el("p", { class: "note" }, "Shadow mode: nothing is denied. ", el("a", { href: "#/policy" }, "What going live would have denied"), "."),
      overview.model === null && el("p", { class: "note" }, "No model decides: limits are static."),
      overview.engine_failures > 0 && el("p", { class: "note" }, `${count(overview.engine_failures)} decisions failed since the start; see the log.`),
      el("div", { class: "figures" }, Object.values(figures).map((one) => one.node)),
      el("div", { class: "grid" },
        el("section", { class: "card wide" }, el("h2", {}, "Requests a second"), traffic),
        card("By risk of the client", risk), card("Time to decide, µs", latency), card("Responses that are errors, %", outcomes),
        el("section", { class: "card wide" }, el("h2", {}, "What happens"), events)),
    ],
    refresh: async () => {
      const { history } = await get(HISTORY);
      every = history.every;
      samples.splice(0, samples.length, ...history.samples);
      share(samples.at(-1));
      draw();
    },
    every: 10,
    second: (event) => {
      show(event.second);
      figures.clients.set(count(event.clients));
      figures.incidents.set(count(event.incidents));
      figures.flight.set(count(event.in_flight));
      if (event.moments.length) {
        recent.unshift(...event.moments);
        recent.length = Math.min(recent.length, 40);
        events.replaceChildren(...recent.map(moment));
      }
      if (!recent.length) events.replaceChildren(el("li", { class: "soft" }, "Nobody is held back."));
    },
  };
}

function moment(one) {
  const verdict = one.allowed ? "" : one.shadow ? " – would be denied" : " – denied";
  return el("li", { class: one.action }, when(one.time, false), link(one.client, one.name), ` ${one.action}${verdict}, risk ${one.risk.toFixed(2)} `, el("span", { class: "soft" }, one.route));
}

/** Clients: searched, sorted, filtered, some at a time. */
export async function clients(query) {
  const wanted = { search: "", action: "", order: "last_seen", ascending: "false", skip: "0", most: "100", ...Object.fromEntries(query) };
  const paces = new Map();
  const place = el("div", {});
  const go = (change) => {
    Object.assign(wanted, change);
    history.replaceState(null, "", `#/clients?${new URLSearchParams(wanted)}`);
    return refresh();
  };
  let turn = 0;
  const refresh = async () => {
    const mine = ++turn;
    const found = await get(`/v1/clients?${new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== ""))}`);
    // A slow answer must not replace a later one.
    if (mine !== turn) return;
    for (const row of found.clients) {
      const pace = paces.get(row.id) ?? [];
      pace.push(row.per_minute);
      paces.set(row.id, pace.slice(-30));
    }
    const sort = {
      order: wanted.order, ascending: wanted.ascending === "true",
      by: (order) => go({ order, ascending: String(wanted.order === order && wanted.ascending === "false"), skip: "0" }),
    };
    const { name, action, risk, number, limit: limited, requests, denied, seen } = clientColumns;
    const pace = { head: "A minute", order: "per_minute", number: true, cell: (row) => count(Math.round(row.per_minute)) };
    const sparks = { head: "Lately", cell: (row) => spark(paces.get(row.id)) };
    const columns = [name, action, risk, number, limited, pace, sparks, requests, denied, seen];
    const from = Number(wanted.skip);
    const words = found.matched ? `${count(from + 1)} to ${count(from + found.clients.length)} of ${count(found.matched)} clients` : "no client fits";
    const focused = document.activeElement?.closest?.("th")?.cellIndex;
    place.replaceChildren(
      found.clients.length ? table(words, columns, found.clients, sort) : el("p", { class: "empty" }, "No client fits. Nobody has come yet, or the search is too narrow."),
      el("div", { class: "buttons" },
        el("button", { type: "button", disabled: from === 0, onclick: () => go({ skip: String(Math.max(0, from - Number(wanted.most))) }) }, "Back"),
        el("button", { type: "button", disabled: found.next === null, onclick: () => go({ skip: String(found.next) }) }, "Further")),
    );
    if (focused !== undefined) place.querySelectorAll("th")[focused]?.querySelector("button")?.focus();
  };
  let typing;
  const search = el("input", { type: "search", value: wanted.search, placeholder: "address or credential", oninput: (event) => { clearTimeout(typing); typing = setTimeout(() => go({ search: event.target.value, skip: "0" }), 200); } });
  const filter = el("select", { onchange: (event) => go({ action: event.target.value, skip: "0" }) },
    [["", "all"], ...ACTIONS.map((action) => [action, action])].map(([value, words]) => el("option", { value, selected: value === wanted.action }, words)));
  const open = el("input", { placeholder: "whole address or credential", onkeydown: (event) => { if (event.key === "Enter" && event.target.value) location.hash = `#/clients/${encodeURIComponent(event.target.value)}`; } });
  await refresh();
  return {
    node: [heading("Clients"), el("div", { class: "tools" }, el("label", {}, "Search", search), el("label", {}, "What is done", filter), el("label", {}, "Go to", open)), place],
    refresh, every: 3,
  };
}

function lasting() {
  return { name: "for", label: "For how long", value: "1h", options: [["15m", "15 minutes"], ["1h", "an hour"], ["8h", "8 hours"], ["1d", "a day"], ["7d", "a week"]] };
}
const note = { name: "note", label: "Note for the audit log" };

async function handle(incident, what, after) {
  const words = {
    tighten: ["Block all of them?", `All ${count(incident.clients)} clients of this incident that are known by name get nothing through.`, "Block all", true],
    release: ["Release all of them?", "All clients of this incident get the limit of trusted ones and are not judged meanwhile.", "Release all"],
    wrong: ["Mark as a mistake?", "All clients of this incident are released, and labelled as harmless: decisions are measured against that.", "Mark as a mistake"],
  }[what];
  const answer = await ask(words[0], words[1], [lasting(), note], words[2], words[3]);
  if (answer && (await act(`/v1/incidents/${incident.id}`, { do: what, ...answer }))) await after();
}

const title = (incident) => `${incident.words}${incident.route ? ` on ${incident.route}` : ""}`;

/** Incidents: attacks, as far as they were seen. */
export async function incidents() {
  const place = el("div", {});
  const refresh = async () => {
    const { incidents: all, missed } = await get("/v1/incidents");
    const columns = [
      { head: "What", wrap: true, cell: (row) => el("a", { href: `#/incidents/${row.id}` }, title(row)) },
      { head: "State", cell: (row) => el("span", { class: `pill ${row.goes_on ? "bad" : "calm"}` }, row.goes_on ? "goes on" : "over") },
      { head: "Since", cell: (row) => when(row.since) },
      { head: "Last", cell: (row) => when(row.last) },
      { head: "Clients", number: true, cell: (row) => count(row.clients) },
      { head: "Blocked", number: true, cell: (row) => count(row.blocked) },
      { head: "Denied", number: true, cell: (row) => count(row.denied) },
    ];
    place.replaceChildren(
      all.length ? table(`${count(all.length)} incidents, latest first`, columns, all) : el("p", { class: "empty" }, "No incident: nobody was held back by what the model thinks."),
      missed > 0 ? el("p", { class: "soft" }, `${count(missed)} changes were too many to be told one by one.`) : "",
    );
  };
  await refresh();
  return { node: [heading("Incidents"), el("p", { class: "soft" }, "Clients that are held back for the same reason, put together. What pauses for ten minutes is over."), place], refresh, every: 3 };
}

/** One incident. */
export async function incident(id) {
  const place = el("div", {});
  const refresh = async () => {
    const one = await get(`/v1/incidents/${id}`);
    const { name, action, risk, number, limit: limited, requests, denied, seen } = clientColumns;
    const members = [...one.members].sort((a, b) => b.denied - a.denied);
    place.replaceChildren(
      el("div", { class: "actions" },
        el("button", { type: "button", class: "risky", onclick: () => handle(one, "tighten", refresh) }, "Block all"),
        el("button", { type: "button", onclick: () => handle(one, "release", refresh) }, "Release all"),
        el("button", { type: "button", onclick: () => handle(one, "wrong", refresh) }, "This is a mistake")),
      card("What is known", el("dl", {},
        el("dt", {}, "What"), el("dd", {}, title(one)),
        el("dt", {}, "State"), el("dd", {}, one.goes_on ? "goes on" : "over"),
        el("dt", {}, "Since"), el("dd", {}, when(one.since), ", last ", when(one.last)),
        el("dt", {}, "Clients"), el("dd", {}, `${count(one.clients)}, ${count(one.blocked)} of them blocked`),
        el("dt", {}, "Denied"), el("dd", {}, `at least ${count(one.denied)} requests`),
        el("dt", {}, "Highest risk"), el("dd", {}, one.peak_risk.toFixed(2)))),
      el("section", { class: "card" }, el("h2", {}, "Its clients"), table(`${count(members.length)} clients known by name`, [name, action, risk, number, limited, requests, denied, seen], members)),
    );
  };
  await refresh();
  return { node: [heading(`Incident ${id}`), place], refresh, every: 5 };
}

/** Routes. */
export async function routes() {
  const place = el("div", {});
  const refresh = async () => {
    const all = await get("/v1/routes");
    const columns = [
      { head: "Route", wrap: true, cell: (row) => row.route },
      { head: "A minute", number: true, cell: (row) => count(Math.round(row.per_minute)) },
      { head: "An hour", number: true, cell: (row) => count(Math.round(row.per_hour)) },
      { head: "New clients", number: true, cell: (row) => percent(row.newcomers) },
      { head: "Errors", number: true, cell: (row) => percent(row.client_errors) },
      { head: "401, 403", number: true, cell: (row) => percent(row.refused) },
      { head: "404", number: true, cell: (row) => percent(row.missing) },
      { head: "5xx", number: true, cell: (row) => percent(row.server_errors) },
      { head: "Mean", number: true, cell: (row) => (row.mean_ms === null ? "–" : `${count(Math.round(row.mean_ms))} ms`) },
    ];
    place.replaceChildren(all.length ? table(`${count(all.length)} routes, busiest first`, columns, all) : el("p", { class: "empty" }, "No request yet."));
  };
  await refresh();
  return { node: [heading("Routes"), el("p", { class: "soft" }, "As the model sees them: one busy client counts for less, so that it does not decide what is usual."), place], refresh, every: 5 };
}

/** The model. */
export async function model() {
  const [one, { labels }] = await Promise.all([get("/v1/model"), get("/v1/labels")]);
  const said = one.labels;
  const shown = one.features.filter((feature) => feature.influence > 0).sort((a, b) => b.influence - a.influence);
  const most = shown[0]?.influence ?? 1;
  const columns = [
    { head: "Feature", cell: (row) => row.feature },
    { head: "Moved scores lately by", cell: (row) => meter(row.influence / most, "allow", `${row.influence.toFixed(2)} in log-odds`) },
    { head: "", number: true, cell: (row) => row.influence.toFixed(2) },
    { head: "What it is", wrap: true, cell: (row) => row.doc },
  ];
  const tenths = one.risk.map((value, at) => ({ name: `.${at}`, value, class: at < 5 ? "allow" : at < 8 ? "throttle" : "block" }));
  return {
    node: [
      heading("Model"),
      el("div", { class: "grid" },
        card("What decides", el("dl", {},
          el("dt", {}, "Kind"), el("dd", {}, one.kind ?? "none: static limits"),
          one.version && [el("dt", {}, "Version"), el("dd", {}, `${one.version.name} ${one.version.checksum}`)],
          one.calibration && [el("dt", {}, "Calibration"), el("dd", {}, one.calibration)],
          el("dt", {}, "Features"), el("dd", {}, `${one.features.length}, schema ${one.schema}`))),
        card("By what people said", labels.length
          ? el("dl", {},
            el("dt", {}, "Precision"), el("dd", {}, percent(said.precision)),
            el("dt", {}, "Recall"), el("dd", {}, percent(said.recall)),
            el("dt", {}, "Held back"), el("dd", {}, `${count(said.true_positives)} rightly, ${count(said.false_positives)} wrongly`),
            el("dt", {}, "Let pass"), el("dd", {}, `${count(said.true_negatives)} rightly, ${count(said.false_negatives)} wrongly`))
          : el("p", { class: "soft" }, "Nobody was labelled yet. Open a client and say what it is: decisions are measured against that, and the labels can be trained on."),
        labels.length > 0 && el("p", {}, el("button", { type: "button", onclick: () => download("/v1/labels.csv", "labels.csv").catch((error) => say(error.message, true)) }, "Save labels.csv"))),
        card("Requests by risk, since the start", bars(tenths, "Requests by tenth of risk"))),
      el("section", { class: "card" }, el("h2", {}, "What moved it lately"),
        shown.length ? table("Features by the mean size of what they added, over the moments kept last", columns, shown) : el("p", { class: "empty" }, "Nothing was scored yet.")),
    ],
  };
}

/** The policy, and shadow beside enforcement. */
export async function policy() {
  const one = await get("/v1/policy");
  const total = Math.max(one.requests, 1);
  const shadow = one.mode === "shadow";
  const tiers = Object.entries(one.tiers_per_min).map(([name, value]) => [el("dt", {}, name), el("dd", {}, limit(value))]);
  return {
    node: [
      heading("Policy"),
      el("div", { class: "grid" },
        card(shadow ? "Going live would have" : "Enforcement", shadow
          ? el("p", {}, el("b", {}, `denied ${count(one.shadow_denied)} of ${count(one.requests)} requests`), ` (${percent(one.shadow_denied / total)}) since the start. See who under `, el("a", { href: "#/clients?order=denied" }, "clients by denials"), " before you set ", el("code", {}, "mode: enforce"), ".")
          : el("p", {}, el("b", {}, `denied ${count(one.denied - one.shadow_denied)} of ${count(one.requests)} requests`), ` (${percent((one.denied - one.shadow_denied) / total)}) since the start.`)),
        card("Limits that models choose between", el("dl", {}, tiers,
          el("dt", {}, "throttle above"), el("dd", {}, one.throttle_above.toFixed(2)),
          el("dt", {}, "block above"), el("dd", {}, one.block_above.toFixed(2)))),
        card("Requests by action", bars(ACTIONS.map((name) => ({ name, class: name, value: one.decided[name] ?? 0 })), "Requests by action since the start"))),
      el("section", { class: "card" }, el("h2", {}, "The configuration in plain words"), el("ul", { class: "plain" }, one.words.map((line) => el("li", {}, line)))),
    ],
  };
}

/** What is set by hand, and who did what. */
export async function actions() {
  const place = el("div", {});
  const refresh = async () => {
    const [set, audit] = await Promise.all([get("/v1/by-hand"), get("/v1/audit")]);
    const end = async (row) => { if (await act(`/v1/clients/${row.id}`, { do: "end" })) await refresh(); };
    const setColumns = [
      { head: "Client", cell: (row) => link(row.id, row.name ?? row.id) },
      { head: "Set to", cell: (row) => (row.do === "limit" ? limit(row.limit_per_min) : row.do) },
      { head: "Until", cell: (row) => when(row.until, false) },
      { head: "", cell: (row) => el("button", { type: "button", onclick: () => end(row), "aria-label": `End what is set for ${row.name ?? row.id}` }, "End") },
    ];
    const auditColumns = [
      { head: "When", cell: (row) => when(row.time, false) },
      { head: "Who", cell: (row) => `${row.role} at ${row.from}` },
      { head: "What", cell: (row) => row.action },
      { head: "To", cell: (row) => row.subject },
      { head: "Note", wrap: true, cell: (row) => row.note },
    ];
    place.replaceChildren(
      el("section", { class: "card" }, el("h2", {}, "Set by hand"), set.length ? table(`${count(set.length)} clients`, setColumns, set) : el("p", { class: "empty" }, "Nothing is set by hand.")),
      el("section", { class: "card" }, el("h2", {}, "Audit log"), audit.length ? table("Latest first, since the start", auditColumns, audit) : el("p", { class: "empty" }, "Nobody did anything yet.")),
    );
  };
  await refresh();
  return { node: [heading("Actions"), el("div", { class: "pages" }, place)], refresh, every: 5 };
}

export { heading, lasting, note };
