// One contract: what it is, its interface, what it stores and emitted.
import { json, Problem } from "../api.js";
import { card, figure, fill, h, table, tr } from "../dom.js";
import { count, ledger, time } from "../format.js";
import { current } from "../live.js";
import { paged } from "./paged.js";
import { EVENT_COLUMNS, eventCells, eventTable } from "./transfers.js";

const KINDS = { stellar_asset: "Stellar Asset Contract", wasm: "Contract with code of its own" };
const STORAGE = [{ name: "Key", kind: "wrap" }, { name: "Value", kind: "wrap" }, { name: "Kept", kind: "" }, { name: "Changed in", kind: "number" }];
const PAGE = 20;

/** What REST answers, or its sentence where it has no answer. */
async function asked(path, parameters, signal) {
  try {
    return { answer: await json(path, parameters, { signal }) };
  } catch (error) {
    if (error instanceof Problem && error.status >= 400 && error.status < 500) return { said: error.message };
    throw error;
  }
}

export async function view(page, [id], signal) {
  const path = `/v1/contracts/${encodeURIComponent(id)}`;
  const status = await current();
  const [what, terms, stored] = await Promise.all([
    asked(path, {}, signal), asked(`${path}/interface`, {}, signal), asked(`${path}/storage`, { limit: PAGE }, signal),
  ]);
  const one = what.answer;
  fill(page,
    h("div", { class: "head" }, h("span", { class: "kind" }, "Contract"), h("h1", { class: "mono" }, id)),
    h("div", { class: "grid" },
      card("What it is", { class: "third" }, one
        ? h("div", {}, h("dl", { class: "figures" }, figure("Kind", KINDS[one.type] ?? one.type ?? "not known here"), figure("Entries stored", count(one.entries)), figure("Last change in", ledger(one.last_ledger), `${time(one.last_change)} UTC`)),
          one.wasm_hash && h("p", { class: "note" }, "Code ", h("span", { class: "mono" }, one.wasm_hash)),
          h("p", { class: "note" }, h("a", { href: `/accounts/${id}` }, "What it holds")))
        : h("p", { class: "empty" }, what.said)),
      card("Interface", { class: "most" }, terms.answer ? h("pre", { class: "scroll", tabindex: "0" }, h("code", {}, terms.answer.signatures)) : h("p", { class: "empty" }, terms.said)),
      card("Storage", {}, stored.answer ? storage(path, stored.answer, signal) : h("p", { class: "empty" }, stored.said)),
      "contract_events" in status.tables && card("Events", {}, await paged(`${path}/events`, {}, { signal, cells: eventCells, columns: EVENT_COLUMNS, render: (rows) => eventTable(rows, "Events of this contract", "It emitted none in the ledgers that are here.") }))));
  return `Contract ${id.slice(0, 5)}…${id.slice(-5)}`;
}

function storage(path, first, signal) {
  let answer = first;
  const cells = (row) => [h("code", {}, row.key ?? row.key_xdr), h("code", {}, row.value ?? row.val_xdr), row.contract_durability?.replace("ContractDataDurability", "").toLowerCase() ?? "", ledger(row.ledger_sequence)];
  const shown = table({ caption: "What the contract stores", columns: STORAGE, rows: answer.rows.map(cells), empty: "Nothing that it stores changed in the ledgers that are here." });
  const more = h("button", { type: "button" }, "More entries");
  more.addEventListener("click", async () => {
    more.disabled = true;
    answer = await json(`${path}/storage`, { limit: PAGE, cursor: answer.next_cursor }, { signal });
    shown.querySelector("tbody").append(...answer.rows.map((row) => tr(cells(row), STORAGE)));
    more.disabled = false;
    if (!answer.next_cursor) more.remove();
  });
  return h("div", {}, shown, answer.next_cursor && more);
}
