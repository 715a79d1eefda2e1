// One asset: sums, how much moved when, who holds it, its transfers.
import { json, Problem } from "../api.js";
import { chart } from "../charts.js";
import { card, figure, fill, h, table } from "../dom.js";
import { account, amount, assetOf, charted, compact, contract, count, decimalsOf } from "../format.js";
import { current } from "../live.js";
import { paged } from "./paged.js";
import { TRANSFER_COLUMNS, transferCells, transferTable } from "./transfers.js";

const WINDOWS = { "1m": "a minute", "5m": "5 minutes", "1h": "an hour", "24h": "a day", "7d": "a week" };
const MOST = 1_000; // windows in the chart

export async function view(page, [name], signal) {
  const path = `/v1/assets/${encodeURIComponent(name)}`;
  const one = await json(path, {}, { signal });
  const decimals = decimalsOf(one);
  const { name: short, issuer } = assetOf(one);
  const status = await current();
  const volume = chart({ label: `How much ${short} moved`, x: "time", series: [{ name: "volume", kind: "bars" }] });
  signal.addEventListener("abort", volume.end);
  const width = one.last_ledger - one.first_ledger;
  const choice = h("select", { "aria-label": "Width of a bar" }, Object.entries(WINDOWS).map(([value, text]) => h("option", { value }, text)));
  choice.value = width < 2_000 ? "1m" : width < 20_000 ? "5m" : width < 500_000 ? "1h" : "24h";
  async function draw() {
    const answer = await json(`${path}/volume`, { window: choice.value, limit: MOST }, { signal });
    volume.draw([answer.rows.map((row) => Date.parse(row.window_start) / 1_000), answer.rows.map((row) => charted(row.volume, decimals))]);
  }
  choice.addEventListener("change", () => draw().catch(() => {}));
  fill(page,
    h("div", { class: "head" }, h("span", { class: "kind" }, "Asset"), h("h1", {}, short), issuer && h("span", {}, "by ", account(issuer)), h("span", { class: "dim" }, "contract ", contract(one.contract_id))),
    h("div", { class: "grid" },
      card("Sums", {}, h("dl", { class: "figures" },
        figure("Volume", amount(one.volume, decimals), short), figure("Transfers", count(one.transfers)), figure("Senders", count(one.senders)), figure("Receivers", count(one.receivers)),
        figure("Minted", amount(one.minted, decimals)), figure("Burned", amount(one.burned, decimals))),
      h("p", { class: "note" }, `in ledgers ${count(one.since_ledger)} to ${count(one.as_of_ledger)}`, decimals ? "" : "; this token's decimals are its contract's own, so amounts are in its smallest unit")),
      card("Volume", { class: "most" }, h("p", {}, h("label", {}, "A bar is ", choice)), volume.element),
      card("Holders", { class: "third" }, "contract_data" in status.tables ? await holders(path, decimals, signal) : h("p", { class: "empty" }, "Balances are in contract_data, which is not among the tables here.")),
      card("Transfers", {}, await paged(`${path}/transfers`, {}, { signal, cells: transferCells, columns: TRANSFER_COLUMNS, render: (rows) => transferTable(rows, `Transfers of ${short}`) }))));
  await draw();
  return short;
}

async function holders(path, decimals, signal) {
  try {
    const answer = await json(`${path}/holders`, { limit: 8 }, { signal });
    return h("div", {}, table({
      caption: "The largest holders", empty: "No balance changed in a contract's storage here. Classic balances (trustlines) are not shown.",
      columns: [{ name: "Holder", kind: "" }, { name: "Balance", kind: "number" }], rows: answer.rows.map((row) => [account(row.account), h("span", { title: amount(row.balance, decimals) }, compact(charted(row.balance, decimals)))]),
    }), h("p", { class: "note" }, "as contracts store them"));
  } catch (error) {
    if (error instanceof Problem) return h("p", { class: "empty" }, error.message);
    throw error;
  }
}
