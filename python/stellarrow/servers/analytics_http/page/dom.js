// Elements made by calls. Text is always set as text, so nothing from a ledger becomes markup.

/** Make an element; properties that begin with "on" are listeners, the others attributes. */
export function h(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [rule, text] of Object.entries(value)) made.style.setProperty(rule, text);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** A table with a caption; rows are arrays of cells, and columns say which are numbers. */
export function table({ caption, columns, rows, empty = "Nothing here yet." }) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.kind }, column.name)))),
      h("tbody", {}, rows.map((row) => tr(row, columns)))));
}

/** One row of such a table. */
export function tr(row, columns) {
  return h("tr", {}, row.map((cell, place) => h("td", { class: columns[place].kind }, cell)));
}

/** A card with a heading. */
export function card(title, properties, ...children) {
  return h("section", { ...properties, class: `card ${properties?.class ?? ""}` },
    h("h2", {}, title), ...children);
}

/** A number with its name. */
export function figure(name, value, note) {
  return h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, value), note && h("dd", { class: "note" }, note));
}
