// Every asset that moved in the ledgers that are here.
import { json } from "../api.js";
import { card, fill, h, table, tr } from "../dom.js";
import { amount, asset, contract, count, decimalsOf } from "../format.js";

const COLUMNS = [
  { name: "Asset", kind: "" }, { name: "Transfers", kind: "number" }, { name: "Volume", kind: "number" }, { name: "Senders", kind: "number" },
  { name: "Receivers", kind: "number" }, { name: "Minted", kind: "number" }, { name: "Burned", kind: "number" }, { name: "Contract", kind: "" },
];
const cells = (one) => [
  asset(one), count(one.transfers), amount(one.volume, decimalsOf(one)), count(one.senders), count(one.receivers),
  amount(one.minted, decimalsOf(one)), amount(one.burned, decimalsOf(one)), contract(one.contract_id),
];

export async function view(page, _words, signal) {
  let answer = await json("/v1/assets", { limit: 50 }, { signal });
  const shown = table({ caption: "Assets, the one with the most transfers first", columns: COLUMNS, rows: answer.rows.map(cells), empty: "Nothing was transferred in the ledgers that are here." });
  const more = h("button", { type: "button" }, "More assets");
  more.addEventListener("click", async () => {
    more.disabled = true;
    answer = await json("/v1/assets", { limit: 50, cursor: answer.next_cursor }, { signal });
    shown.querySelector("tbody").append(...answer.rows.map((one) => tr(cells(one), COLUMNS)));
    more.disabled = false;
    if (!answer.next_cursor) more.remove();
  });
  fill(page, h("div", { class: "head" }, h("h1", {}, "Assets"), h("span", { class: "dim" }, `in ledgers ${count(answer.since_ledger ?? 0)} to ${count(answer.as_of_ledger)}`)),
    card("By transfers", {}, shown, answer.next_cursor && more));
  return "Assets";
}
