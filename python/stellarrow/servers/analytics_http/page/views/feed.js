// Transfers or events as they come, by filters that stand in the address.
import { json } from "../api.js";
import { card, fill, h, tr } from "../dom.js";
import { current, watch } from "../live.js";
import { paged } from "./paged.js";
import { EVENT_COLUMNS, eventCells, eventTable, rowKey, TRANSFER_COLUMNS, transferCells, transferTable } from "./transfers.js";

const KINDS = {
  token_transfers: { name: "Transfers", render: transferTable, cells: transferCells, columns: TRANSFER_COLUMNS, filters: ["assets", "accounts", "contract_ids", "event_types", "where"] },
  contract_events: { name: "Contract events", render: eventTable, cells: eventCells, columns: EVENT_COLUMNS, filters: ["contract_ids", "event_names", "event_types", "where"] },
};
const LABELS = {
  assets: ["Assets", "XLM, USDC:GA5Z…"], accounts: ["Accounts", "G… or C…"], contract_ids: ["Contracts", "C…"],
  event_types: ["Event types", "transfer, mint, payment"], event_names: ["Event names", "transfer, swap"],
  where: ["Condition in SQL", "amount_raw > 10000000"],
};
const MOST = 200; // rows on the page; older ones go as new ones come

export async function view(page, _words, signal) {
  const status = await current();
  const kinds = Object.keys(KINDS).filter((name) => name in status.tables);
  const asked = new URLSearchParams(location.search);
  const name = kinds.includes(asked.get("table")) ? asked.get("table") : kinds[0];
  if (!name) {
    fill(page, h("h1", {}, "Feed"), h("p", { class: "notice" }, "This service has neither token_transfers nor contract_events."));
    return "Feed";
  }
  const kind = KINDS[name];
  const filters = Object.fromEntries(kind.filters.map((one) => [one, asked.get(one) ?? ""]).filter(([, text]) => text));
  const place = h("div", {});
  const state = h("span", { class: "note", role: "status" }, "New rows appear by themselves.");
  let paused = false;
  let hasOlder = false;
  function wait(why) {
    paused = true;
    pause.textContent = "Go on";
    state.textContent = why;
  }
  const pause = h("button", { type: "button", onclick: () => {
    if (!paused) return wait("Paused: new rows wait.");
    if (hasOlder) return dispatchEvent(new PopStateEvent("popstate")); // from the newest again: no row is left out between
    paused = false;
    pause.textContent = "Pause";
    state.textContent = "New rows appear by themselves.";
  } }, "Pause");
  fill(page, h("div", { class: "head" }, h("h1", {}, "Feed")), form(kinds, name, kind, asked),
    card(kind.name, {}, h("div", { class: "row" }, pause, state), place));
  const path = `/v1/tables/${name}/rows`;
  const shown = await paged(path, filters, {
    onOlder: () => { hasOlder = true; wait("Paused while you read older rows."); },
    signal, cells: kind.cells, columns: kind.columns,
    render: (rows) => kind.render(rows, `${kind.name}, the newest first`, "Nothing fits these filters so far."),
  });
  fill(place, shown);
  let reach = shown.asOf;
  let busy = false;
  signal.addEventListener("abort", watch(async ({ status: now }) => {
    const last = now?.tables[name]?.last_ledger ?? 0;
    if (busy || paused || signal.aborted || last <= reach) return;
    busy = true;
    try {
      const found = await json(path, { ...filters, start: reach + 1, end: last, order: "desc", limit: MOST }, { signal });
      reach = last;
      add(place, found.rows, kind);
    } catch (error) {
      if (error.name !== "AbortError") state.textContent = error.message;
    }
    busy = false;
  }));
  return kind.name;
}

function add(place, rows, kind) {
  if (!rows.length) return;
  const body = place.querySelector("tbody");
  if (!body) {
    place.querySelector(".empty")?.replaceWith(kind.render(rows, `${kind.name}, the newest first`));
    return;
  }
  const seen = new Set();
  const fresh = rows.filter((row) => !seen.has(rowKey(row)) && seen.add(rowKey(row)));
  body.prepend(...fresh.map((row) => {
    const made = tr(kind.cells(row), kind.columns);
    made.classList.add("new");
    return made;
  }));
  while (body.rows.length > MOST) body.lastElementChild.remove();
}

function form(kinds, name, kind, asked) {
  const choice = h("select", { name: "table" }, kinds.map((one) => h("option", { value: one, selected: one === name }, KINDS[one].name)));
  choice.addEventListener("change", () => choice.form.requestSubmit());
  return h("form", {
    class: "filters", role: "search", "aria-label": "Filters",
    onsubmit: (event) => {
      event.preventDefault();
      const given = [...new FormData(event.target)].filter(([, text]) => text.trim());
      history.pushState(null, "", `/feed?${new URLSearchParams(given.map(([one, text]) => [one, text.trim()]))}`);
      dispatchEvent(new PopStateEvent("popstate"));
    },
  },
  h("label", {}, "Rows", choice),
  kind.filters.map((one) => h("label", { class: one === "where" ? "wide" : "" }, LABELS[one][0],
    h("input", { name: one, value: asked.get(one) ?? "", placeholder: LABELS[one][1], spellcheck: "false" }))),
  h("button", { class: "main" }, "Apply"));
}
