// Calls to the limiter, with the token if there is one, and the stream of what happens.
import { ask, say } from "./dom.js";

const KEY = "tidegate-token";
let asking = null;

function headers() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function logIn() {
  asking ??= ask("Admin token", "This limiter asks for a token. It is kept until this tab is closed.", [{ name: "token", label: "Token", kind: "password" }], "Open");
  const answer = await asking;
  asking = null;
  if (answer) sessionStorage.setItem(KEY, answer.token.trim());
  return answer !== null;
}

async function send(path, options = {}) {
  for (;;) {
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...headers() }, cache: "no-store" });
    if (response.status !== 401 || !(await logIn())) return response;
  }
}

/** What is at a path, as JSON; throws an Error with what the limiter says. */
export async function get(path) {
  return answer(await send(path));
}

/** Does something. */
export async function post(path, body) {
  return answer(await send(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
}

async function answer(response) {
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(value.detail ?? `The limiter answered ${response.status}.`);
  return value;
}

/** Does something and says what came of it; whether it was done. */
export async function act(path, body) {
  try {
    const { done, subject, clients, warning } = await post(path, body);
    say(`${done}: ${subject}${clients > 1 ? ` (${clients} clients)` : ""}`);
    if (warning) say(warning, true);
    return true;
  } catch (error) {
    say(error.message, true);
    return false;
  }
}

/** Saves what is at a path as a file. */
export async function download(path, name) {
  const response = await send(path);
  save(await response.blob(), name);
}

/** Saves bytes as a file. */
export function save(bytes, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(bytes);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/**
 * Sends a file. `sent` is told the share that is on its way, `each` every line of JSON that is answered meanwhile;
 * `done` is kept when the answer has ended. `fetch` tells nobody how much was sent.
 */
export function feed(path, file, sent, each) {
  const call = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    let read = 0;
    const take = () => {
      if (call.status !== 200) return;
      const end = call.responseText.lastIndexOf("\n") + 1;
      for (const line of call.responseText.slice(read, end).split("\n")) if (line) each(JSON.parse(line));
      read = Math.max(read, end);
    };
    const problem = () => {
      try {
        return JSON.parse(call.responseText).detail;
      } catch {
        return `The limiter answered ${call.status}.`;
      }
    };
    call.upload.addEventListener("progress", (event) => sent(event.loaded / Math.max(event.total, 1)));
    call.addEventListener("progress", take);
    call.addEventListener("load", () => {
      take();
      if (call.status === 200) resolve();
      else reject(new Error(problem()));
    });
    call.addEventListener("error", () => reject(new Error("The connection broke off; look whether the limiter runs, and send the log again.")));
    call.addEventListener("abort", () => reject(new Error("Stopped.")));
    call.open("POST", path);
    for (const [name, value] of Object.entries(headers())) call.setRequestHeader(name, value);
    call.setRequestHeader("Content-Type", "application/octet-stream");
    call.send(file);
  });
  return { done, stop: () => call.abort() };
}

/** Calls `each` with every event of the stream, and `state` with whether it is connected; forever. */
export async function live(each, state) {
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      const response = await send("/v1/live");
      if (!response.ok) throw new Error(String(response.status));
      state(true);
      pause = 1000;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
          const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
          if (data) each(JSON.parse(data));
        }
      }
    } catch {
      // Told by the state; tried again.
    }
    state(false);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
