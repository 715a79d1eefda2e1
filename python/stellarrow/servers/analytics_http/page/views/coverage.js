// Which ledgers each table has, as a picture, and how the service is.
import { json } from "../api.js";
import { card, figure, fill, h, table } from "../dom.js";
import { ago, bytes, count } from "../format.js";
import { current, watch } from "../live.js";

export async function view(page, _words, signal) {
  const place = h("div", {});
  fill(page, h("div", { class: "head" }, h("h1", {}, "Coverage and health")), place);
  async function draw() {
    const status = await current();
    let health = null;
    try {
      health = await json("/health", {}, { signal });
    } catch (error) {
      if (error.name === "AbortError") return;
    }
    if (!signal.aborted) fill(place, h("div", { class: "grid" }, tables(status), service(status, health)));
  }
  await draw();
  let last = Date.now();
  signal.addEventListener("abort", watch((_, advanced) => {
    if (!advanced || Date.now() - last < 3_000 || signal.aborted) return;
    last = Date.now();
    draw().catch(() => {});
  }));
  return "Coverage";
}

function tables(status) {
  const all = Object.entries(status.tables);
  const left = (one) => [...one.archived, ...one.deleted];
  const held = all.filter(([, one]) => one.ledgers || left(one).length);
  const archives = [...new Set(held.flatMap(([, one]) => one.archives))];
  const ends = held.flatMap(([, one]) => [...one.coverage, ...left(one)].flat());
  const first = Math.min(...ends);
  const last = Math.max(...ends);
  const span = last - first + 1;
  const part = (ranges, kind) => ranges.map(([from, to]) => h("span", { class: kind,
    style: { "--from": `${(100 * (from - first)) / span}%`, "--part": `${(100 * (to - from + 1)) / span}%` } }));
  return card("Ledgers of each table", {},
    held.length > 0 && h("p", { class: "note" }, h("span", { class: "key" }), "stored ", h("span", { class: "key hot" }), "in memory", held.some(([, one]) => left(one).length) && [" ", h("span", { class: "key archived" }), "archived ", h("span", { class: "key deleted" }), "deleted"], "; what is empty is missing. From ledger ", count(first), " to ", count(last), "."),
    table({
      caption: "Ledgers of each table", empty: "No table has a ledger yet.",
      columns: [{ name: "Table", kind: "" }, { name: "Coverage", kind: "wrap" }, { name: "Ledgers", kind: "number" }, { name: "Missing", kind: "number" }],
      rows: held.map(([name, one]) => [
        h("span", { title: one.filter ? `only ${one.filter}` : "" }, name, one.filter && h("span", { class: "tag" }, "filtered")),
        h("div", { class: "spans", role: "img", "aria-label": said(one) }, part(one.archived, "archived"), part(one.deleted, "deleted"), part(one.stored, "stored"), part(one.hot, "hot")),
        count(one.ledgers), count(missing(one))]),
    }),
    archives.length > 0 && h("p", { class: "note" }, `Archived ledgers are in ${archives.join(", ")}.`),
    all.length > held.length && h("p", { class: "note" }, `Without ledgers: ${all.filter((one) => !held.includes(one)).map(([name]) => name).join(", ")}`));
}

// Ranges in words, for who does not see the picture.
function said(one) {
  const words = (ranges) => ranges.map(([from, to]) => `${from} to ${to}`).join(", ");
  return [["", one.coverage], ["archived ", one.archived], ["deleted ", one.deleted]]
    .filter(([, ranges]) => ranges.length).map(([kind, ranges]) => kind + words(ranges)).join("; ");
}

// Ledgers between the first and the last that are neither here nor archived nor deleted.
function missing(one) {
  const known = [...one.coverage, ...one.archived, ...one.deleted];
  const ends = known.flat();
  return known.length ? Math.max(...ends) - Math.min(...ends) + 1 - known.reduce((sum, [from, to]) => sum + to - from + 1, 0) : 0;
}

function service(status, health) {
  const parts = Object.values(health?.components ?? {});
  return card("Service", {},
    h("dl", { class: "figures" },
      figure("Health", health?.status ?? "not told"), figure("Newest ledger", status.as_of_ledger ? count(status.as_of_ledger) : "none yet", status.lag_seconds === null ? null : `closed ${ago(status.lag_seconds)}`),
      figure("In memory", bytes(status.hot_bytes)), health?.uptime !== undefined && figure("Up for", ago(health.uptime).replace(" ago", "")), figure("Version", status.version)),
    parts.length > 0 && table({
      caption: "Parts of the service", columns: [{ name: "Part", kind: "" }, { name: "State", kind: "" }, { name: "Message", kind: "wrap" }],
      rows: parts.map((one) => [one.name, one.healthy ? "well" : h("strong", {}, "not well"), one.message || "—"]),
    }));
}
