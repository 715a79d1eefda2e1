// A table that begins with a page of rows and brings older ones on request.
import { fill, h, tr } from "../dom.js";
import { json } from "../api.js";

/** Show rows of a path, newest first; `render` makes the table of the first page, `cells` further rows; `onOlder` is called where somebody asks for those. */
export async function paged(path, parameters, { render, cells, columns, signal, onOlder }) {
  const place = h("div", {});
  let answer = await json(path, { order: "desc", limit: 25, ...parameters }, { signal });
  const more = h("button", { type: "button" }, "Older rows");
  const shown = render(answer.rows);
  const known = h("p", { class: "note" }, `As of ledger ${answer.as_of_ledger.toLocaleString("en")}`);
  const left = h("p", { class: "note", role: "status" });
  const tell = () => {
    const parts = (answer.gaps ?? []).map((one) => `Ledgers ${one.first_ledger} to ${one.last_ledger} ${one.state === "archived" ? `were archived${one.archive ? ` to ${one.archive}` : ""}` : "were deleted"}.`);
    if (parts.length) left.append(`${left.textContent && " "}${parts.join(" ")}`);
  };
  tell();
  more.addEventListener("click", async () => {
    more.disabled = true;
    onOlder?.();
    try {
      answer = await json(path, { order: "desc", limit: 25, ...parameters, cursor: answer.next_cursor }, { signal });
      shown.querySelector("tbody").append(...answer.rows.map((row) => tr(cells(row), columns)));
      tell();
    } catch (error) {
      if (error.name === "AbortError") return;
      known.textContent = error.message;
    }
    more.disabled = false;
    if (!answer.next_cursor) more.remove();
  });
  place.asOf = answer.as_of_ledger;
  return fill(place, shown, h("div", { class: "row" }, answer.next_cursor && more, known), left);
}
