// The page of one client: what became of it, why, and what can be done.
import { meter, tug } from "./charts.js";
import { ask, card, count, el, limit, pill, span, table, when } from "./dom.js";
import { act, get } from "./net.js";
import { heading, lasting, link, note } from "./pages.js";

export async function client(name) {
  const path = `/v1/clients/${encodeURIComponent(name)}`;
  const title = heading("Client");
  const [facts, why, story, side, buttons] = [el("div"), el("div"), el("div"), el("div"), el("div", { class: "actions" })];

  const set = async (what, words, fields, risky) => {
    const answer = await ask(words, null, [...fields, note], words.replace(/\?$/, ""), risky);
    if (answer && (await act(path, { do: what, ...answer }))) await refresh();
  };
  const label = async (abusive) => {
    const answer = await ask(abusive ? "Label as abusive?" : "Label as harmless?", "Decisions are measured against labels, and a model can be trained on them. Nothing is set for the client.", [note], "Label");
    if (answer && (await act(`${path}/label`, { abusive, ...answer }))) await refresh();
  };
  const button = (text, run, kind = null) => el("button", { type: "button", class: kind, onclick: run }, text);
  const rate = { name: "limit", label: "Limit, such as 600/min", value: "600/min" };

  const refresh = async () => {
    const one = await get(path);
    title.replaceChildren(one.name, " ", pill(one.action));
    buttons.replaceChildren(
      button("Block", () => set("block", "Block this client?", [lasting()], true), "risky"),
      button("Set a limit", () => set("limit", "Set a limit?", [rate, lasting()])),
      button("Release", () => set("release", "Release this client?", [lasting()])),
      one.by_hand ? button("End what is set", async () => { if (await act(path, { do: "end" })) await refresh(); }) : "",
      button("It is abusive", () => label(true)), button("It is harmless", () => label(false)));
    const rows = [
      ["Risk", [one.risk.toFixed(2), " ", meter(one.risk, one.action, `risk ${one.risk.toFixed(2)}`)]],
      ["Limit", one.action === "block" ? `nothing passes${one.blocked_for ? ` for ${span(one.blocked_for)}` : ""}` : limit(one.limit_per_min)],
      ["Requests", `${count(one.allowed + one.denied)}, ${count(one.denied)} of them denied; ${count(Math.round(one.per_minute))} in the last minute`],
      ["Good record", `${count(Math.round(one.good))} requests`],
      ["First seen", when(one.first_seen)], ["Last seen", [when(one.last_seen), ` on ${one.route}`]],
      one.anomaly !== null && ["Unlike others", one.anomaly.toFixed(3)],
      one.guests > 0 && ["Behind its address", `${one.guests} told apart`],
      one.by_hand && ["Set by hand", [one.by_hand.do === "limit" ? limit(one.by_hand.limit_per_min) : one.by_hand.do, " until ", when(one.by_hand.until, false)]],
      one.label !== null && ["Labelled", one.label ? "abusive" : "harmless"],
      one.incidents.length > 0 && ["Part of", one.incidents.map((id) => [el("a", { href: `#/incidents/${id}` }, `incident ${id}`), " "])],
    ].filter(Boolean);
    facts.replaceChildren(el("dl", {}, rows.map(([term, words]) => [el("dt", {}, term), el("dd", {}, words)])));
    const steps = [...one.story].reverse().map((step) => el("li", { class: step.action }, when(step.time, false),
      `request ${count(step.requests)}: ${step.action}${step.allowed ? "" : step.shadow ? ", would be denied" : `, denied by ${step.rule}`}, risk ${step.risk.toFixed(2)}, ${limit(step.limit_per_min)} `, el("span", { class: "soft" }, step.route)));
    story.replaceChildren(steps.length ? el("ul", { class: "story events", tabindex: "0", "aria-label": "Moments, latest first" }, steps) : el("p", { class: "empty" }, "Nothing was worth keeping yet."));
    side.replaceChildren(one.alike.length
      ? table("How alike, from 0 to 1", [{ head: "Client", cell: (row) => link(row.id, row.name) }, { head: "Alike", number: true, cell: (row) => row.alike.toFixed(2) }], one.alike)
      : el("p", { class: "empty" }, "Nobody who was held back lately is like it."));
    await explain();
  };

  const explain = async () => {
    let told;
    try {
      told = await get(`${path}/explain`);
    } catch (error) {
      why.replaceChildren(el("p", { class: "empty" }, error.message));
      return;
    }
    const shown = told.contributions.filter((one) => Math.abs(one.added) >= 0.05).slice(0, 12);
    const most = Math.max(...shown.map((one) => Math.abs(one.added)), 0.1);
    const digits = (value) => (value === null ? "–" : Math.abs(value) < 10 ? value.toFixed(2) : count(Math.round(value)));
    const columns = [
      { head: "What", wrap: true, cell: (row) => row.words },
      { head: "Value", number: true, cell: (row) => digits(row.value) },
      { head: "Usual here", number: true, cell: (row) => digits(row.usual) },
      { head: "Against – for abuse", cell: (row) => tug(row.added, most) },
      { head: "Score if usual", number: true, cell: (row) => digits(row.score_with_usual) },
    ];
    const other = told.counterfactual;
    why.replaceChildren(
      el("p", {}, told.reasons.length ? `${told.reasons.join("; ")}.` : "Nothing speaks against it."),
      other ? el("p", {}, "Were these as is usual here – ", el("b", {}, other.words.join("; ")), ` – the score would be ${other.score.toFixed(2)}.`) : "",
      el("p", { class: "soft" }, "By the moment kept last, ", when(told.moment.time), told.moment.score === null ? "; no model scored it." : `: score ${told.moment.score.toFixed(2)} for that request alone. Its next request will be kept too.`),
      told.model_version ? el("p", { class: "soft" }, `Model ${told.model} ${told.model_version.name} ${told.model_version.checksum}, features of schema ${told.schema}.`) : "",
      shown.length ? table("What moved the score, in log-odds", columns, shown) : "",
    );
  };

  await refresh();
  return {
    node: [title, buttons, el("div", { class: "grid" }, card("What is known", facts), card("What became of it", story)),
      el("section", { class: "card" }, el("h2", {}, "Why"), why), el("div", { class: "grid" }, card("Others like it", side))],
    refresh, every: 3,
  };
}
