// Which ledger is the newest: told by a stream of events, and asked for where that is silent.
import { events, json } from "./api.js";

const EVERY = 1_500; // ms between looks while no event comes
const TOLD = 10_000; // ms between looks while events come
const GATHER = 25; // ms in which several events are one
const HIDDEN = 15_000; // while nobody sees the page
const LONGEST = 20_000; // between tries while the service does not answer
const STALE = 60; // seconds without a ledger where ledgers should come
const PAUSE = 8; // seconds without one after which nobody is catching up any more

/**
 * The last answer of /v1/status, how things stand (connecting, live, behind, stored, stale, locked or lost), and what
 * REST said where it does not answer.
 */
export const live = { status: null, state: "connecting", since: 0, problem: null };

const LEDGERS = "ledger_sequence,closed_at,protocol_version,transaction_count,successful_transaction_count";

const listeners = new Set();
const hearers = new Set();
let failures = 0;
let timer = 0;
let toldAt = -Infinity; // when the last event came
let gathering = 0; // the timer of the next look at what events told
let pause = 0; // ms until then
let newest = 0; // the last ledger that an event told of
let looking = null; // the look that is under way
let again = false; // whether an event came during it

/** Call back with every change, and at once where something is known; returns what ends that. */
export function watch(callback) {
  listeners.add(callback);
  if (live.status || live.problem) callback(live, false);
  return () => listeners.delete(callback);
}

/** Call back with the rows of ledgers as an event brings them, before the status tells of them; returns what ends that. */
export function hear(callback) {
  hearers.add(callback);
  return () => hearers.delete(callback);
}

/** Return the last status, or the one that is being asked for; a Problem where there is none. */
export async function current() {
  if (!live.status) await (looking ?? look());
  if (!live.status) throw live.problem;
  return live.status;
}

export function start() {
  document.addEventListener("visibilitychange", () => !document.hidden && look());
  addEventListener("online", look);
  look();
  listen();
}

/** Look at each event; where there is no stream, looking every now and then goes on alone. */
async function listen() {
  for (let wait = 1_000; ; wait = Math.min(LONGEST, wait * 2)) {
    try {
      await events("/v1/stream/ledgers", { columns: LEDGERS }, (data) => {
        wait = 1_000;
        toldAt = performance.now();
        const told = JSON.parse(data);
        newest = Math.max(newest, told.last_ledger ?? 0);
        for (const hearer of told.rows ? [...hearers] : []) hearer(told.rows);
        if (!gathering || pause > GATHER) gather(GATHER);
      });
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && error.status !== 401 && error.status !== 429) return;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Look now, and again, less and less often, until all tables have the ledger that was told of. */
function gather(wait) {
  clearTimeout(gathering);
  pause = wait;
  gathering = setTimeout(() => {
    gathering = 0;
    if (newest > (live.status?.as_of_ledger ?? 0)) gather(Math.min(EVERY, 2 * wait));
  }, wait);
  look();
}

/** Look once; a call during a look makes one more after it. */
async function look() {
  if (looking) {
    again = true;
    return;
  }
  looking = looked();
  await looking;
  looking = null;
  if (again) {
    again = false;
    look();
  }
}

async function looked() {
  clearTimeout(timer);
  let advanced = false;
  try {
    const status = await json("/v1/status");
    advanced = !live.status || status.as_of_ledger !== live.status.as_of_ledger;
    if (advanced) live.since = Date.now();
    live.status = status;
    live.state = stateOf(status);
    live.problem = null;
    failures = 0;
  } catch (error) {
    failures += 1;
    live.problem = error;
    if (error.status === 401 || error.status === 403) live.state = "locked";
    else if (failures > 1 || !live.status) live.state = "lost";
  }
  for (const listener of [...listeners]) listener(live, advanced);
  const told = performance.now() - toldAt < 2 * TOLD;
  const wait = failures ? Math.min(LONGEST, EVERY * 2 ** failures) : document.hidden ? HIDDEN : told ? TOLD : EVERY;
  clearTimeout(timer);
  timer = setTimeout(look, wait);
}

function stateOf(status) {
  const follows = Object.keys(status.following ?? {}).length > 0;
  const waited = (Date.now() - live.since) / 1_000;
  if (!follows) return "stored";
  if (status.following.trouble) return "stale";
  if (status.lag_seconds !== null && status.lag_seconds < STALE) return "live";
  return waited < PAUSE ? "behind" : "stale";
}
