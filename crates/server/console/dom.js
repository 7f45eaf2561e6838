// Elements, numbers and times: what every page is made of. Text is always set as text.

/** An element: attributes, `on…` listeners and children; `null` and `false` are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  return fill(element, attributes, children);
}

/** The same of SVG. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  return fill(element, attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A count for people: 1,234 or 12.3 k. */
export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value < 100_000) return value < 10 && value % 1 ? value.toFixed(1) : whole.format(value);
  const [scaled, unit] = value < 1e6 ? [value / 1e3, "k"] : value < 1e9 ? [value / 1e6, "M"] : [value / 1e9, "G"];
  return `${scaled.toFixed(scaled < 100 ? 1 : 0)} ${unit}`;
}

/** A share for people. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const value = share * 100;
  return `${value.toFixed(value > 0 && value < 10 ? 2 : 1)} %`;
}

/** A limit: requests a minute, or none. */
export const limit = (value) => (value === null || value === undefined ? "none" : `${count(Math.round(value * 10) / 10)}/min`);

/** How long ago a time (seconds since the epoch) was. */
export function ago(seconds) {
  const passed = Math.max(0, Date.now() / 1000 - seconds);
  return passed < 2 ? "now" : `${span(passed)} ago`;
}

/** A length of time. */
export function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A `<time>` element: how long ago, or at what time of the day (with the day when it is another). */
export function when(seconds, relative = true) {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString([], { hour12: false });
  const today = date.toDateString() === new Date().toDateString();
  const text = relative ? ago(seconds) : today ? time : `${date.toLocaleDateString()} ${time}`;
  return el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

/** What is done about a client, as a label. */
export const pill = (action) => el("span", { class: `pill ${action}` }, action);

/** A card with a heading. */
export const card = (title, ...children) => el("section", { class: "card" }, el("h2", {}, title), ...children);

/** A figure with what it is below it. */
export function figure(words, title = null) {
  const value = el("b", {}, "–");
  return { node: el("div", { class: "card figure", title }, value, el("span", {}, words)), set: (text) => { value.textContent = text; } };
}

/** A table. Columns: { head, cell(row) → node or text, number, wrap, order }; `sort` tells the state and what to call. */
export function table(caption, columns, rows, sort = null) {
  const heads = columns.map((column) => {
    const sortable = sort && column.order;
    const state = sortable && sort.order === column.order ? (sort.ascending ? "ascending" : "descending") : sortable ? "none" : null;
    const text = sortable ? el("button", { type: "button", class: "sort", onclick: () => sort.by(column.order) }, column.head) : column.head;
    return el("th", { scope: "col", class: column.number && "number", "aria-sort": state }, text);
  });
  const line = (row) => el("tr", {}, columns.map((column) => el("td", { class: column.number ? "number" : column.wrap && "wrap" }, column.cell(row))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows.map(line))));
}

/** Says something at the edge of the page, and to screen readers. */
export function say(text, bad = false) {
  const note = el("p", { class: bad && "bad" }, text);
  document.getElementById("said").append(note);
  setTimeout(() => note.remove(), bad ? 12_000 : 6_000);
}

/** Asks for what a form holds; fields: { name, label, value, kind, options }. Gives null when it is closed. */
export function ask(title, text, fields, button, risky = false) {
  const dialog = document.getElementById("dialog");
  const inputs = fields.map((field) => {
    const attributes = { name: field.name, type: field.kind ?? "text", autocomplete: "off", value: field.value };
    const input = field.options
      ? el("select", { name: field.name }, field.options.map(([value, words]) => el("option", { value, selected: value === field.value }, words)))
      : el("input", attributes);
    return el("label", {}, field.label, input);
  });
  return new Promise((resolve) => {
    let answer = null;
    const take = (event) => {
      event.preventDefault();
      answer = Object.fromEntries(fields.map((field) => [field.name, dialog.querySelector(`[name="${field.name}"]`).value]));
      dialog.close();
    };
    const form = el("form", { onsubmit: take }, el("h2", { id: "dialog-title" }, title), text && el("p", {}, text), inputs,
      el("div", { class: "buttons" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), el("button", { class: risky ? "risky" : "main" }, button)));
    dialog.replaceChildren(form);
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
  });
}
