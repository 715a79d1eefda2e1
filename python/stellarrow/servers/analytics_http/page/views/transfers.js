// Rows of token_transfers and contract_events as tables, where several views show them.
import { h, table } from "../dom.js";
import { account, amount, asset, contract, decimalsOf, ledger, shortened, when } from "../format.js";

export const TRANSFER_COLUMNS = [
  { name: "Ledger", kind: "number" }, { name: "Closed (UTC)", kind: "clock" }, { name: "Event", kind: "" },
  { name: "Amount", kind: "number" }, { name: "Asset", kind: "" }, { name: "From", kind: "" }, { name: "To", kind: "" },
];
export const EVENT_COLUMNS = [
  { name: "Ledger", kind: "number" }, { name: "Closed (UTC)", kind: "clock" }, { name: "Event", kind: "" },
  { name: "Contract", kind: "" }, { name: "Transaction", kind: "" },
];

export const transferCells = (row) => [
  ledger(row.ledger_sequence), when(row.closed_at),
  h("span", { class: "tag", title: row.operation_type ?? "" }, String(row.amount_raw).startsWith("-") ? `${row.event_type} returned` : row.event_type),
  amount(String(row.amount_raw ?? 0).replace("-", ""), decimalsOf(row)), asset(row), account(row.from), account(row.to),
];
export const eventCells = (row) => [
  ledger(row.ledger_sequence), when(row.closed_at),
  h("span", { class: "tag" }, row.event_name ?? row.event_type), contract(row.contract_id),
  h("span", { class: "id", title: row.transaction_hash }, shortened(row.transaction_hash)),
];

export const transferTable = (rows, caption, empty) =>
  table({ caption, columns: TRANSFER_COLUMNS, rows: rows.map(transferCells), empty });
export const eventTable = (rows, caption, empty) =>
  table({ caption, columns: EVENT_COLUMNS, rows: rows.map(eventCells), empty });

/** What makes a row the same row, so that it is shown once. */
export const rowKey = (row) => `${row.ledger_sequence}/${row.transaction_index}/${row.operation_index}/${row.event_index}/${row.stage ?? ""}`;
