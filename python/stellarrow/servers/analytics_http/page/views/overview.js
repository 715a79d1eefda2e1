// The newest ledgers, what moved in them, and who is busy, kept up as ledgers close.
import { arrow, json } from "../api.js";
import { go } from "../app.js";
import { chart } from "../charts.js";
import { card, figure, fill, h, tr } from "../dom.js";
import { ago, assetOf, charted, contract, count, shortened, time } from "../format.js";
import { current, hear, watch } from "../live.js";
import { rowKey, TRANSFER_COLUMNS, transferCells, transferTable } from "./transfers.js";

const STRIP = 90; // ledgers
const WINDOW = 60; // ledgers that the charts and lists are of
const FEED = 15; // rows
const PACE = 100; // ms between drawing ledgers as they are told; those that come faster wait for the next look
const COLUMNS = "ledger_sequence,event_type,asset_type,asset_code,asset_issuer,contract_id,amount_raw";

export async function view(page, _words, signal) {
  // Asked for beside the status: the first chart needs nothing else.
  const early = json("/v1/ledgers", { limit: STRIP }, { signal }).catch(() => null);
  const status = await current();
  if (!status.as_of_ledger) {
    fill(page, h("h1", {}, "Waiting for the first ledger"),
      h("p", { class: "notice" }, "The service is up, and no ledger has come yet. This page goes on by itself when one does."));
    const off = watch(({ status: now }) => {
      if (now?.as_of_ledger && !signal.aborted) { off(); view(page, [], signal); }
    });
    signal.addEventListener("abort", off);
    return "Overview";
  }
  const has = (name) => name in status.tables;
  const parts = {
    newest: h("dl", { class: "figures" }), strip: h("div", { class: "strip", role: "img", onclick: ({ target }) => target.dataset.ledger && go(`/ledgers/${target.dataset.ledger}`) }), ends: h("div", { class: "strip-ends" }),
    rate: chart({ label: "Transactions in each ledger", even: true, series: [{ name: "all", kind: "bars" }, { name: "failed", kind: "bars" }] }),
    volume: chart({ label: "Amount of XLM moved in each ledger", even: true, series: [{ name: "XLM moved", kind: "bars" }] }),
    assets: h("div", {}), contracts: h("div", {}), feed: h("div", {}),
  };
  fill(page, h("h1", { class: "hidden" }, "Overview"), h("div", { class: "grid" },
    card("Ledgers", {}, parts.newest, parts.strip, parts.ends),
    has("ledgers") && card("Transactions in each ledger", { class: "half" }, parts.rate.element),
    has("token_transfers") && card("XLM moved in each ledger", { class: "half" }, parts.volume.element),
    has("token_transfers") && card("Assets by transfers", { class: "half" }, parts.assets),
    has("contract_events") && card("Busiest contracts", { class: "half" }, parts.contracts),
    has("token_transfers") && card("Latest transfers", {}, parts.feed)));
  signal.addEventListener("abort", () => { parts.rate.end(); parts.volume.end(); });

  const state = { ledgers: [], transfers: new Map(), events: new Map(), feed: [], seen: new Set(), reach: 0, early };
  let busy = false;
  async function update(now) {
    if (busy || signal.aborted || now.as_of_ledger <= state.reach) return;
    busy = true;
    try {
      await bring(state, now, has, signal, () => drawLedgers(state, now, parts, has));
      draw(state, now, parts, has);
    } catch (error) {
      if (error.name !== "AbortError") parts.ends.textContent = error.message;
    }
    busy = false;
  }
  await update(status);
  signal.addEventListener("abort", hear((rows) => {
    if (signal.aborted || !take(state, rows)) return;
    drawNewest(state, parts);
  }));
  signal.addEventListener("abort", watch(({ status: now, state: how }) => {
    if (now) update(now);
    parts.strip.classList.toggle("dim", how === "lost");
  }));
  return "Overview";
}

/** Ask for what is new since the last time; the first time, `begun` shows the ledgers before their rows are here. */
async function bring(state, status, has, signal, begun) {
  const last = status.as_of_ledger;
  const asked = { signal };
  // The newest ledgers that are here, which need not follow on one another.
  const asking = has("ledgers") ? newestLedgers(state, last, asked) : { rows: [] };
  // Where little is new, all of it is asked for at once.
  const isNear = state.reach && last - state.reach < WINDOW;
  const [newest, near] = await Promise.all([asking, isNear && rowsSince(state.reach + 1, last, has, asked)]);
  const known = newestOf(state);
  state.ledgers = [...state.ledgers, ...newest.rows.reverse().filter((one) => one.ledger_sequence > known)].slice(-STRIP);
  state.from = has("ledgers") ? state.ledgers.at(-WINDOW)?.ledger_sequence ?? state.ledgers[0]?.ledger_sequence ?? last : last - WINDOW + 1;
  if (!near && state.ledgers.length) begun();
  const [transfers, events, feed] = near || await rowsSince(Math.max(state.reach + 1, state.from), last, has, asked);
  if (transfers) gather(transfers, state.transfers, addTransfer);
  if (events) gather(events, state.events, addEvent);
  for (const held of [state.transfers, state.events]) for (const number of held.keys()) if (number < state.from) held.delete(number);
  state.fresh = feed.rows.filter((row) => !state.seen.has(rowKey(row)));
  state.feed = [...state.fresh, ...state.feed].slice(0, FEED);
  state.seen = new Set(state.feed.map(rowKey));
  state.reach = last;
}

const newestOf = (state) => state.ledgers.at(-1)?.ledger_sequence ?? 0;

/** Take in ledgers that follow on those that are here; tell whether they are to be drawn now. */
function take(state, rows) {
  const known = newestOf(state);
  const fresh = rows.filter((one) => one.ledger_sequence > known);
  if (!state.reach || fresh[0]?.ledger_sequence !== known + 1) return false;
  state.ledgers = [...state.ledgers, ...fresh].slice(-STRIP);
  const now = performance.now();
  if (now - (state.drawnAt ?? -PACE) < PACE) return false;
  state.drawnAt = now;
  return true;
}

/** The ledgers since the last time, of which those asked for ahead, or told of since, may be all. */
async function newestLedgers(state, last, asked) {
  const early = await state.early;
  state.early = null;
  if (early && !state.reach) return { rows: early.rows.filter((one) => one.ledger_sequence <= last) };
  const start = Math.max(state.reach, newestOf(state)) + 1;
  return start > last ? { rows: [] } : json("/v1/ledgers", { start, end: last, limit: STRIP, order: "desc" }, asked);
}

function rowsSince(start, end, has, asked) {
  return Promise.all([
    has("token_transfers") ? arrow("/v1/tables/token_transfers/rows", { start, end, columns: COLUMNS }, asked) : null,
    has("contract_events") ? arrow("/v1/tables/contract_events/rows", { start, end, columns: "ledger_sequence,contract_id" }, asked) : null,
    has("token_transfers") ? json("/v1/tables/token_transfers/rows", { start, end, order: "desc", limit: FEED }, asked) : { rows: [] },
  ]);
}

/** Add up rows by ledger: `add` counts one row in its ledger's map. */
function gather(rows, held, add) {
  const columns = Object.fromEntries(rows.schema.fields.map((field) => [field.name, rows.getChild(field.name)]));
  for (let at = 0; at < rows.numRows; at += 1) {
    const number = columns.ledger_sequence.at(at);
    if (!held.has(number)) held.set(number, new Map());
    add(held.get(number), (name) => columns[name].at(at));
  }
}

function addTransfer(found, value) {
  const row = { asset_type: value("asset_type"), asset_code: value("asset_code"), asset_issuer: value("asset_issuer"), contract_id: value("contract_id") };
  const kind = value("event_type");
  if (kind === "fee") return;
  const { id, name, issuer } = assetOf(row);
  const known = found.get(id) ?? { name, issuer, id, count: 0, moved: 0n };
  known.count += 1;
  if (kind === "transfer") known.moved += BigInt(value("amount_raw") ?? 0);
  found.set(id, known);
}

function addEvent(found, value) {
  const id = value("contract_id");
  if (id) found.set(id, { id, count: (found.get(id)?.count ?? 0) + 1 });
}

/** Add up what several ledgers have, the most first. */
function totals(held, most) {
  const found = new Map();
  for (const ledger of held.values()) {
    for (const [id, one] of ledger) found.set(id, { ...one, count: one.count + (found.get(id)?.count ?? 0) });
  }
  return [...found.values()].sort((one, other) => other.count - one.count || (one.id < other.id ? -1 : 1)).slice(0, most);
}

function draw(state, status, parts, has) {
  drawLedgers(state, status, parts, has);
  if (has("token_transfers")) drawTransfers(state, parts, status.as_of_ledger);
  if (has("contract_events")) bars(parts.contracts, totals(state.events, 8), (one) => contract(one.id), "event", "No contract has emitted an event in these ledgers.");
}

function drawLedgers(state, status, parts, has) {
  const ledgers = state.ledgers;
  const newest = ledgers.at(-1);
  const closes = ledgers.map((one) => Date.parse(one.closed_at) / 1_000);
  const seconds = closes.length > 1 ? (closes.at(-1) - closes[0]) / (closes.length - 1) : null;
  const transactions = ledgers.slice(1).reduce((sum, one) => sum + one.transaction_count, 0);
  fill(parts.newest,
    figure("Newest ledger", h("a", { href: `/ledgers/${status.as_of_ledger}` }, count(status.as_of_ledger)), newest && `${time(newest.closed_at)} UTC`),
    figure("Closed", status.lag_seconds === null ? "—" : ago(status.lag_seconds)),
    seconds !== null && figure("A ledger every", `${seconds.toFixed(1)} s`),
    seconds > 0 && figure("Transactions a second", (transactions / (seconds * (ledgers.length - 1))).toFixed(1)),
    newest && figure("Protocol", newest.protocol_version));
  if (has("ledgers")) drawNewest(state, parts);
}

/** Draw what the rows of ledgers alone tell. */
function drawNewest({ ledgers }, parts) {
  const newest = ledgers.at(-1);
  const most = drawStrip(parts.strip, ledgers);
  parts.strip.setAttribute("aria-label", `Transactions in the last ${ledgers.length} ledgers, ${count(most)} at most`);
  fill(parts.ends, h("span", {}, ledgers.length ? count(ledgers[0].ledger_sequence) : ""), h("span", {}, "transactions in each ledger"), h("span", {}, newest ? count(newest.ledger_sequence) : ""));
  const recent = ledgers.slice(-WINDOW);
  parts.rate.draw([
    recent.map((one) => one.ledger_sequence), recent.map((one) => one.transaction_count),
    recent.map((one) => one.transaction_count - one.successful_transaction_count),
  ]);
}

/** Bring the strip to these ledgers: what stands there already stays as it is. */
function drawStrip(strip, ledgers) {
  const most = Math.max(1, ...ledgers.map((one) => one.transaction_count));
  const part = (one) => `${(100 * one.transaction_count) / most}%`;
  const first = ledgers[0]?.ledger_sequence ?? Infinity;
  while (strip.firstChild && Number(strip.firstChild.dataset.ledger) < first) strip.firstChild.remove();
  if (strip.dataset.most !== String(most)) {
    strip.dataset.most = most;
    for (const [at, span] of [...strip.children].entries()) span.style.setProperty("--part", part(ledgers[at]));
  }
  strip.append(...ledgers.slice(strip.children.length).map((one) => h("span", {
    "data-ledger": one.ledger_sequence,
    title: `Ledger ${count(one.ledger_sequence)}: ${count(one.transaction_count)} transactions`,
    style: { "--part": part(one) },
  })));
  return most;
}

function drawTransfers(state, parts, last) {
  const known = state.ledgers.slice(-WINDOW).map((one) => one.ledger_sequence);
  const numbers = known.length ? known : Array.from({ length: WINDOW }, (_, at) => last - WINDOW + 1 + at).filter((one) => one > 0);
  parts.volume.draw([numbers, numbers.map((one) => charted(state.transfers.get(one)?.get("native")?.moved ?? 0n))]);
  bars(parts.assets, totals(state.transfers, 8),
    (one) => h("a", { class: "asset", href: `/assets/${encodeURIComponent(one.id)}`, title: one.id }, one.name, one.issuer && h("span", { class: "dim" }, ` ${shortened(one.issuer)}`)),
    "transfer", "Nothing was transferred in these ledgers.");
  const body = parts.feed.querySelector("tbody");
  if (!body) {
    fill(parts.feed, transferTable(state.feed, "The latest transfers", "Nothing was transferred in these ledgers."),
      h("p", {}, h("a", { href: "/feed" }, "All transfers, with filters")));
    return;
  }
  const fresh = state.fresh.slice(0, FEED);
  while (body.rows.length && body.rows.length + fresh.length > FEED) body.lastElementChild.remove();
  body.prepend(...fresh.map((row) => {
    const made = tr(transferCells(row), TRANSFER_COLUMNS);
    // Where all rows are new, none stands out.
    if (fresh.length < FEED) made.classList.add("new");
    return made;
  }));
}

/** Bars with names and counts; one that stays is changed only where its count is another. */
function bars(place, found, name, noun, empty) {
  place.bars ??= new Map();
  const most = Math.max(1, ...found.map((one) => one.count));
  const made = found.map((one) => {
    const bar = place.bars.get(one.id) ?? newBar(name(one));
    const text = `${count(one.count)} ${noun}${one.count === 1 ? "" : "s"}`;
    const part = `${(100 * one.count) / most}%`;
    if (bar.number.textContent !== text) bar.number.textContent = text;
    if (bar.part !== part) bar.track.style.setProperty("--part", bar.part = part);
    return [one.id, bar];
  });
  place.bars = new Map(made);
  const nodes = made.map(([, bar]) => bar.node);
  const stands = nodes.length && nodes.length === place.children.length - 1 && nodes.every((node, at) => place.children[at] === node);
  if (!stands) fill(place, nodes.length ? nodes : h("p", { class: "empty" }, empty), h("p", { class: "note" }, `in the last ${WINDOW} ledgers`));
}

function newBar(name) {
  const number = h("span", { class: "number" });
  const track = h("span", {});
  return { number, track, part: "", node: h("div", { class: "bar" }, h("span", {}, name), number, h("span", { class: "track" }, track)) };
}
