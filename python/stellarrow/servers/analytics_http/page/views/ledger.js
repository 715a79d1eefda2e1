// One ledger: its header, what it moved, what contracts said in it.
import { json } from "../api.js";
import { card, figure, fill, h } from "../dom.js";
import { amount, count, time } from "../format.js";
import { current } from "../live.js";
import { paged } from "./paged.js";
import { EVENT_COLUMNS, eventCells, eventTable, TRANSFER_COLUMNS, transferCells, transferTable } from "./transfers.js";

const FACTS = {
  ledger_hash: "Hash", previous_ledger_hash: "Hash of the ledger before", total_coins: "XLM in all", fee_pool: "Fee pool",
  base_fee: "Base fee", base_reserve: "Base reserve", max_tx_set_size: "Most operations", size_bytes: "Size",
};
const AMOUNTS = new Set(["total_coins", "fee_pool", "base_reserve", "base_fee"]);

export async function view(page, [text], signal) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) {
    fill(page, h("h1", {}, "No such ledger"), h("p", {}, `${text} is no ledger's number.`));
    return "No such ledger";
  }
  const status = await current();
  const one = await json(`/v1/ledgers/${number}`, {}, { signal });
  const row = one.rows?.[0] ?? one;
  const within = { start: number, end: number, order: "asc" };
  const has = (name) => name in status.tables;
  const failed = row.transaction_count - row.successful_transaction_count;
  fill(page,
    h("div", { class: "head" }, h("span", { class: "kind" }, "Ledger"), h("h1", { class: "number" }, count(number)), h("span", { class: "dim" }, `${time(row.closed_at)} UTC`),
      h("span", { class: "row" }, h("a", { href: `/ledgers/${number - 1}` }, "← before"), h("a", { href: `/ledgers/${number + 1}` }, "after →"))),
    h("div", { class: "grid" },
      card("Header", {}, h("dl", { class: "figures" },
        figure("Transactions", count(row.transaction_count), failed ? `${count(failed)} failed` : "none failed"), figure("Protocol", row.protocol_version)),
      h("dl", { class: "facts" }, Object.entries(FACTS).filter(([name]) => row[name] !== undefined && row[name] !== null).map(([name, label]) => [
        h("dt", {}, label), h("dd", { class: name.endsWith("hash") ? "mono" : "number" }, AMOUNTS.has(name) ? `${amount(row[name])} XLM` : name.endsWith("hash") ? row[name] : name === "size_bytes" ? `${count(row[name])} bytes` : count(row[name]))]))),
      has("token_transfers") && card("Transfers", {}, await paged("/v1/tables/token_transfers/rows", within, {
        signal, cells: transferCells, columns: TRANSFER_COLUMNS, render: (rows) => transferTable(rows, "Transfers of this ledger", "Nothing was transferred in this ledger.") })),
      has("contract_events") && card("Contract events", {}, await paged("/v1/tables/contract_events/rows", within, {
        signal, cells: eventCells, columns: EVENT_COLUMNS, render: (rows) => eventTable(rows, "Events of this ledger", "No contract emitted an event in this ledger.") }))));
  return `Ledger ${count(number)}`;
}
