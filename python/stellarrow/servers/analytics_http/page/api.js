// REST, as the page asks it: JSON for what is read, Arrow for what is drawn.

const KEY = "stellarrow.key";

/** What REST says is wrong: a sentence, and the status. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

function headers(more = {}) {
  return key.get() ? { Authorization: `Bearer ${key.get()}`, ...more } : more;
}

function address(path, parameters = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") asked.set(name, value);
  }
  const text = asked.toString();
  return text ? `${path}?${text}` : path;
}

async function fetched(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer.");
  }
  if (answer.ok) return answer;
  let detail = `The service answered ${answer.status}.`;
  try {
    detail = (await answer.json()).detail ?? detail;
  } catch { /* no problem document: the status says it */ }
  if (answer.status === 401) dispatchEvent(new CustomEvent("stellarrow-sign-in", { detail }));
  throw new Problem(answer.status, detail);
}

export async function json(path, parameters, { signal } = {}) {
  const answer = await fetched(address(path, parameters), { headers: headers({ Accept: "application/json" }), signal });
  return answer.json();
}

export async function post(path, body, { signal } = {}) {
  const answer = await fetched(path, {
    method: "POST", signal, body: JSON.stringify(body),
    headers: headers({ Accept: "application/json", "Content-Type": "application/json" }),
  });
  return answer.json();
}

/** Call back with the data of each server-sent event until the stream ends; read by fetch, which can show a key. */
export async function events(path, parameters, callback, { signal } = {}) {
  const answer = await fetched(address(path, parameters), { headers: headers({ Accept: "text/event-stream" }), signal, cache: "no-store" });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) callback(data.slice(6));
    }
  }
}

/** Rows as an Arrow table: 64-bit and decimal numbers are BigInt, nothing is rounded. */
export async function arrow(path, parameters, { signal } = {}) {
  const answer = await fetched(address(path, parameters), {
    headers: headers({ Accept: "application/vnd.apache.arrow.stream" }), signal,
  });
  const [held] = await Promise.all([answer.arrayBuffer(), reader()]);
  return globalThis.fl.tableFromIPC(new Uint8Array(held), { useDecimalInt: true, useBigInt: true });
}

/** What reads Arrow, loaded once: what is shown first needs none of it. */
const reader = () => import("./vendor/flechette.js");

export { address };
