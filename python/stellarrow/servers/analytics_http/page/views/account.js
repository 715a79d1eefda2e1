// One account: what it holds, what it sent and received.
import { json } from "../api.js";
import { card, fill, h, table } from "../dom.js";
import { amount, asset, count, decimalsOf, ledger } from "../format.js";
import { paged } from "./paged.js";
import { TRANSFER_COLUMNS, transferCells, transferTable } from "./transfers.js";

export async function view(page, [id], signal) {
  const path = `/v1/accounts/${encodeURIComponent(id)}`;
  const held = await json(`${path}/balances`, { limit: 200 }, { signal });
  const stored = (one) => (one.balance === null ? h("span", { class: "dim" }, "—") : amount(one.balance, decimalsOf(one)));
  fill(page,
    h("div", { class: "head" }, h("span", { class: "kind" }, id.startsWith("C") ? "Holder" : "Account"), h("h1", { class: "mono" }, id)),
    h("div", { class: "grid" },
      card("By asset", {}, table({
        caption: "What this account holds, sent and received", empty: "This account neither sent nor received anything in the ledgers that are here.",
        columns: [{ name: "Asset", kind: "" }, { name: "Stored balance", kind: "number" }, { name: "Received", kind: "number" }, { name: "Sent", kind: "number" }, { name: "Net", kind: "number" }, { name: "Transfers", kind: "number" }, { name: "Last in", kind: "number" }],
        rows: held.rows.map((one) => [asset(one), stored(one), amount(one.received, decimalsOf(one)), amount(one.sent, decimalsOf(one)), amount(one.net, decimalsOf(one)), count(one.transfers), ledger(one.last_ledger)]),
      }), h("p", { class: "note" }, `Sums of ledgers ${count(held.since_ledger)} to ${count(held.as_of_ledger)}. A stored balance is what a contract keeps; classic balances are in none.`)),
      card("Transfers", {}, await paged(`${path}/transfers`, {}, { signal, cells: transferCells, columns: TRANSFER_COLUMNS, render: (rows) => transferTable(rows, "Transfers of this account", "None in the ledgers that are here.") }))));
  return `Account ${id.slice(0, 5)}…${id.slice(-5)}`;
}
