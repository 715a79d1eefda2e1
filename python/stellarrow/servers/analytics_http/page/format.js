// Numbers, amounts, times and names as people read them. Amounts are whole numbers of any length.
import { h } from "./dom.js";

const grouped = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const STROOPS = 7;

export const count = (number) => grouped.format(number);
/** Bytes as people read them. */
export function bytes(size) {
  const step = Math.min(4, Math.floor(Math.log10(Math.max(1, size)) / 3));
  return `${(size / 1_000 ** step).toFixed(step ? 1 : 0)} ${["B", "KB", "MB", "GB", "TB"][step]}`;
}

export const compact = (number) => short.format(number);

/** Write a whole number of units with its decimals, every digit kept. */
export function amount(raw, decimals = STROOPS) {
  const value = BigInt(raw);
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, "0");
  const whole = grouped.format(BigInt(digits.slice(0, digits.length - decimals) || "0"));
  const rest = decimals ? digits.slice(-decimals).replace(/0+$/, "") : "";
  return `${value < 0n ? "−" : ""}${whole}${rest ? `.${rest}` : ""}`;
}

/** The same as a number for a chart, which may round. */
export const charted = (raw, decimals = STROOPS) => Number(BigInt(raw)) / 10 ** decimals;

export function ago(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h ago`;
  return `${grouped.format(Math.round(seconds / 86_400))} days ago`;
}

export const time = (moment) => new Date(moment).toISOString().replace("T", " ").slice(0, 19);

/** A time of which narrow screens show the time of day alone. */
export function when(moment) {
  const [day, clock] = time(moment).split(" ");
  return h("time", { datetime: moment, title: `${day} ${clock} UTC` }, h("span", { class: "day" }, `${day} `), clock);
}

/** Keep both ends of an id, of which the last characters are its checksum. */
export const shortened = (id) => (id && id.length > 16 ? `${id.slice(0, 5)}…${id.slice(-5)}` : id ?? "");

export function account(id) {
  if (!id) return h("span", { class: "dim" }, "—");
  const path = id.startsWith("C") ? "contracts" : "accounts";
  const linked = /^[GC][A-Z2-7]{55}$/.test(id);
  return linked
    ? h("a", { href: `/${path}/${id}`, class: "id", title: id }, shortened(id))
    : h("span", { class: "id", title: id }, shortened(id));
}

export const contract = (id) => (id ? h("a", { href: `/contracts/${id}`, class: "id", title: id }, shortened(id)) : "");
export const ledger = (number) => h("a", { href: `/ledgers/${number}`, class: "number" }, count(number));

/** The asset of a row of token_transfers: how it is named, and where its page is. */
export function assetOf(row) {
  if (row.asset_type === "native") return { name: "XLM", id: "native" };
  if (row.asset_code) return { name: row.asset_code, id: `${row.asset_code}:${row.asset_issuer}`, issuer: row.asset_issuer };
  return { name: shortened(row.contract_id), id: row.contract_id };
}

export function asset(row) {
  const { name, id, issuer } = assetOf(row);
  return h("a", { href: `/assets/${encodeURIComponent(id)}`, title: id, class: "asset" }, name,
    issuer && h("span", { class: "dim" }, ` ${issuer.slice(0, 4)}…`));
}

/** Decimals that an asset's amounts are written with; of a contract's own token they are not known here. */
export const decimalsOf = (row) => (row.asset_type === "native" || row.asset_code ? STROOPS : 0);
