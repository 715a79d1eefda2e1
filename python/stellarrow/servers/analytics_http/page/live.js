// Which ledger is the newest, asked for again and again; whoever wants to know subscribes.
import { json } from "./api.js";

const EVERY = 1_500; // ms between looks
const HIDDEN = 15_000; // while nobody sees the page
const LONGEST = 20_000; // between tries while the service does not answer
const STALE = 60; // seconds without a ledger where ledgers should come

/** The last answer of /v1/status, and how things stand: connecting, live, behind, stored, stale or lost. */
export const live = { status: null, state: "connecting", since: 0 };

const listeners = new Set();
let failures = 0;
let timer = 0;

/** Call back with every change, and at once where something is known; returns what ends that. */
export function watch(callback) {
  listeners.add(callback);
  if (live.status || live.state === "lost") callback(live, false);
  return () => listeners.delete(callback);
}

export function start() {
  document.addEventListener("visibilitychange", () => !document.hidden && look());
  addEventListener("online", look);
  look();
}

async function look() {
  clearTimeout(timer);
  let advanced = false;
  try {
    const status = await json("/v1/status");
    advanced = !live.status || status.as_of_ledger !== live.status.as_of_ledger;
    if (advanced) live.since = Date.now();
    live.status = status;
    live.state = stateOf(status);
    failures = 0;
  } catch {
    failures += 1;
    if (failures > 1 || !live.status) live.state = "lost";
  }
  for (const listener of [...listeners]) listener(live, advanced);
  const wait = failures ? Math.min(LONGEST, EVERY * 2 ** failures) : document.hidden ? HIDDEN : EVERY;
  clearTimeout(timer);
  timer = setTimeout(look, wait);
}

function stateOf(status) {
  const follows = Object.keys(status.following ?? {}).length > 0;
  const waited = (Date.now() - live.since) / 1_000;
  if (!follows) return "stored";
  if (status.following.trouble) return "stale";
  if (status.lag_seconds !== null && status.lag_seconds < STALE) return "live";
  return waited < STALE ? "behind" : "stale";
}
