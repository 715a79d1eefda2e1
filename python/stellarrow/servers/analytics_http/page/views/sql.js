// SQL over the tables, with the answer as a table and, where it has numbers, as a chart.
import { json, post } from "../api.js";
import { chart } from "../charts.js";
import { card, fill, h, table } from "../dom.js";
import { count } from "../format.js";

const EXAMPLES = [
  ["Ledgers, the newest first", "select ledger_sequence, closed_at, transaction_count\nfrom ledgers\norder by ledger_sequence desc\nlimit 20"],
  ["Transfers of each ledger", "select ledger_sequence, count(*) as transfers\nfrom token_transfers\ngroup by 1\norder by 1"],
  ["Volume by asset", "select coalesce(asset_code, 'XLM') as asset, sum(amount_raw) as volume, count(*) as transfers\nfrom token_transfers\nwhere event_type = 'transfer'\ngroup by 1\norder by transfers desc\nlimit 20"],
  ["Busiest contracts", "select contract_id, count(*) as events\nfrom contract_events\ngroup by 1\norder by 2 desc\nlimit 20"],
];
const MOST = 1_000; // rows
const NUMBER = /^-?\d+(\.\d+)?$/; // 64-bit numbers and amounts are texts in JSON

export async function view(page, _words, signal) {
  const { tables } = await json("/v1/tables", {}, { signal });
  const asked = new URLSearchParams(location.search).get("q");
  const text = h("textarea", { rows: "7", spellcheck: "false", "aria-label": "SQL", name: "sql" });
  text.value = asked ?? EXAMPLES[0][1];
  const answer = h("div", {});
  const run = h("button", { class: "main", type: "submit" }, "Run");
  const said = h("span", { class: "note", role: "status" }, "Ctrl+Enter runs it. Only reading, in bounded time and memory.");
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); query(); } }, text,
    h("div", { class: "row" }, run, said));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); query(); }
  });
  const plot = { now: null };
  signal.addEventListener("abort", () => plot.now?.end());
  let running = null;
  async function query() {
    running?.abort();
    running = new AbortController();
    signal.addEventListener("abort", () => running.abort());
    run.disabled = true;
    said.textContent = "Running…";
    history.replaceState(null, "", `/sql?${new URLSearchParams({ q: text.value })}`);
    const began = performance.now();
    try {
      const found = await post("/v1/query", { sql: text.value, limit: MOST }, { signal: running.signal });
      said.textContent = `${count(found.rows.length)} rows in ${Math.round(performance.now() - began)} ms, as of ledger ${count(found.as_of_ledger)}${found.rows.length === MOST ? " (the first ones)" : ""}`;
      plot.now?.end();
      plot.now = show(answer, found.rows);
    } catch (error) {
      if (error.name !== "AbortError") { said.textContent = ""; fill(answer, h("p", { class: "trouble", role: "alert" }, error.message)); }
    }
    run.disabled = false;
  }
  fill(page, h("div", { class: "head" }, h("h1", {}, "SQL")), h("div", { class: "grid" },
    card("Query", { class: "most" }, form),
    card("Tables", { class: "third" }, h("ul", { class: "plain" }, tables.map((one) => h("li", {}, columnsOf(one, signal)))),
      h("h2", {}, "Examples"), EXAMPLES.map(([name, sql]) => h("p", {}, h("a", { href: `/sql?${new URLSearchParams({ q: sql })}` }, name)))),
    card("Answer", {}, answer)));
  fill(answer, h("p", { class: "empty" }, "Run a query to see its answer."));
  if (asked) await query();
  return "SQL";
}

/** A table's name that opens to its columns. */
function columnsOf(one, signal) {
  const list = h("ul", { class: "plain note" });
  const made = h("details", {}, h("summary", {}, h("code", {}, one.name)), list);
  made.addEventListener("toggle", async () => {
    if (!made.open || list.children.length) return;
    const { columns } = await json(`/v1/tables/${one.name}`, {}, { signal });
    fill(list, columns.map((column) => h("li", { title: column.description }, h("code", {}, column.name), ` ${column.type}`)));
  });
  return made;
}

function show(place, rows) {
  if (!rows.length) {
    fill(place, h("p", { class: "empty" }, "The query is right, and no row fits."));
    return null;
  }
  const names = Object.keys(rows[0]);
  const numeric = names.filter((name) => rows.every((row) => row[name] === null || NUMBER.test(row[name])));
  const shown = table({
    caption: "Answer", columns: names.map((name) => ({ name, kind: numeric.includes(name) ? "number" : "" })),
    rows: rows.map((row) => names.map((name) => (row[name] === null ? h("span", { class: "dim" }, "null") : typeof row[name] === "object" ? JSON.stringify(row[name]) : String(row[name])))),
  });
  const drawn = drawable(rows, names, numeric);
  fill(place, drawn?.element, shown);
  drawn?.draw(drawn.columns);
  return drawn;
}

/** A chart of the numbers over the first column, if that grows. */
function drawable(rows, names, numeric) {
  const [first] = names;
  const series = numeric.filter((name) => name !== first).slice(0, 3);
  const xs = rows.map((row) => (numeric.includes(first) ? Number(row[first]) : Date.parse(row[first]) / 1_000));
  if (rows.length < 3 || !series.length || xs.some((one) => !Number.isFinite(one))) return null;
  const order = xs.map((_, at) => at).sort((one, other) => xs[one] - xs[other]);
  if (order.some((at, place) => place && xs[at] === xs[order[place - 1]])) return null;
  const made = chart({ label: `${series.join(", ")} by ${first}`, x: numeric.includes(first) ? "ledger" : "time", series: series.map((name) => ({ name, kind: "line" })) });
  return { ...made, columns: [order.map((at) => xs[at]), ...series.map((name) => order.map((at) => (rows[at][name] === null ? null : Number(rows[at][name]))))] };
}
