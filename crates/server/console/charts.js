// Charts as SVG. Each says in words what it shows, for those who can't see it.
import { count, el, svg } from "./dom.js";

const LEFT = 46;
const BOTTOM = 20;

/** The next round number above a value. */
function round(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= value);
}

function frame(width, height, top, label, times) {
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, width: "100%" });
  for (const share of [0, 0.5, 1]) {
    const y = height - BOTTOM - share * (height - BOTTOM - 8);
    chart.append(svg("line", { class: "axis", x1: LEFT, x2: width, y1: y, y2: y }), svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, count(top * share)));
  }
  times.forEach(([x, text], at) => {
    const anchor = at === 0 ? "start" : at === times.length - 1 ? "end" : "middle";
    chart.append(svg("text", { x, y: height - 5, "text-anchor": anchor }, text));
  });
  return chart;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

/** Stacked areas over time. Series: { name, class, values }; times in seconds, ascending. */
export function stack(times, series, words, height = 170, width = 420) {
  const totals = times.map((_, at) => series.reduce((sum, one) => sum + one.values[at], 0));
  const top = round(Math.max(...totals, 0));
  const last = times.length - 1;
  const x = (at) => LEFT + (last > 0 ? at / last : 0) * (width - LEFT);
  const y = (value) => height - BOTTOM - (value / top) * (height - BOTTOM - 8);
  const marks = last > 0 ? [0, Math.floor(last / 2), last].map((at) => [x(at), clock(times[at])]) : [];
  const peak = count(Math.max(...totals, 0));
  const chart = frame(width, height, top, `${words}. Highest ${peak}; last ${count(totals[last] ?? 0)}.`, marks);
  let below = times.map(() => 0);
  for (const one of series) {
    const above = below.map((value, at) => value + one.values[at]);
    const up = above.map((value, at) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    const down = below.map((value, at) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).reverse();
    if (last > 0 && one.values.some((value) => value > 0)) chart.append(svg("path", { class: `area ${one.class}`, d: `M${up.join("L")}L${down.join("L")}Z` }));
    below = above;
  }
  return el("div", {}, chart, el("ul", { class: "legend", "aria-hidden": "true" }, series.map((one) => el("li", { class: one.class }, one.name))));
}

/** Lines over time; null is a gap. */
export function lines(times, series, words, height = 170, width = 420) {
  const all = series.flatMap((one) => one.values).filter((value) => value !== null);
  const top = round(Math.max(...all, 0));
  const last = times.length - 1;
  const x = (at) => LEFT + (last > 0 ? at / last : 0) * (width - LEFT);
  const y = (value) => height - BOTTOM - (Math.min(value, top) / top) * (height - BOTTOM - 8);
  const marks = last > 0 ? [0, Math.floor(last / 2), last].map((at) => [x(at), clock(times[at])]) : [];
  const ends = series.map((one) => `${one.name} ${one.values[last] === null || one.values[last] === undefined ? "unknown" : count(one.values[last])}`);
  const chart = frame(width, height, top, `${words}. Last: ${ends.join(", ")}.`, marks);
  for (const one of series) {
    let pen = "M";
    let path = "";
    one.values.forEach((value, at) => {
      if (value === null) { pen = "M"; return; }
      path += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    if (path) chart.append(svg("path", { class: `line ${one.class}`, d: path }));
  }
  return el("div", {}, chart, el("ul", { class: "legend", "aria-hidden": "true" }, series.map((one) => el("li", { class: one.class }, one.name))));
}

/** Bars: { name, value, class, text }. */
export function bars(items, words, height = 170, width = 420) {
  const top = round(Math.max(...items.map((item) => item.value), 0));
  const room = (width - LEFT) / Math.max(items.length, 1);
  const told = items.map((item) => `${item.name}: ${item.text ?? count(item.value)}`).join(", ");
  const chart = frame(width, height, top, `${words}. ${told}.`, []);
  items.forEach((item, at) => {
    const tall = (item.value / top) * (height - BOTTOM - 8);
    const x = LEFT + at * room;
    chart.append(
      svg("rect", { class: `bar ${item.class ?? ""}`, x: x + room * 0.12, y: height - BOTTOM - tall, width: room * 0.76, height: tall, rx: 2 }),
      svg("text", { x: x + room / 2, y: height - 5, "text-anchor": "middle" }, item.name),
    );
  });
  return chart;
}

/** A line no larger than a word. */
export function spark(values) {
  const top = Math.max(...values, 1e-9);
  const x = (at) => (values.length > 1 ? (at / (values.length - 1)) * 78 + 1 : 1);
  const points = values.map((value, at) => `${x(at).toFixed(1)} ${(19 - (value / top) * 17).toFixed(1)}`);
  const told = values.length ? `lately ${count(values.at(-1))} a minute, at most ${count(top)}` : "nothing yet";
  return svg("svg", { viewBox: "0 0 80 20", width: 80, height: 20, role: "img", "aria-label": told }, values.length > 1 && svg("path", { class: "line neutral", d: `M${points.join("L")}` }));
}

/** A share of a whole, as a bar. */
export function meter(share, kind, words) {
  const width = Math.max(0, Math.min(1, share)) * 80;
  return svg("svg", { viewBox: "0 0 80 10", width: 80, height: 10, role: "img", "aria-label": words },
    svg("rect", { class: "empty", width: 80, height: 10, rx: 3 }), svg("rect", { class: `bar ${kind}`, width, height: 10, rx: 3 }));
}

/** What speaks for and against, to both sides of a middle. */
export function tug(value, most) {
  const half = Math.min(1, Math.abs(value) / Math.max(most, 1e-6)) * 60;
  const words = `${value > 0 ? "for" : "against"} abuse, ${Math.abs(value).toFixed(2)}`;
  return svg("svg", { viewBox: "0 0 124 12", width: 124, height: 12, role: "img", "aria-label": words },
    svg("line", { class: "axis", x1: 62, x2: 62, y1: 0, y2: 12 }),
    svg("rect", { class: `bar ${value > 0 ? "block" : "raise"}`, x: value > 0 ? 62 : 62 - half, y: 1, width: half, height: 10, rx: 2 }));
}
