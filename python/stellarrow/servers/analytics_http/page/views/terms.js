// What the words on these pages mean.
import { fill, h } from "../dom.js";

const TERMS = [
  ["Ledger", "What the network agrees on every few seconds: a set of transactions, their results, and every change they made. Ledgers are numbered without gaps, and each names the hash of the one before."],
  ["Transaction", "Operations of one account that succeed or fail together. A failed one changes nothing but pays its fee."],
  ["Asset", "Something that is counted: XLM, the network's own; CODE:ISSUER, issued by an account; or a contract's own token, named by the contract's id."],
  ["Transfer", "An amount of an asset that went from one holder to another. A mint makes some, a burn or a clawback takes some away, a fee is what the network charged."],
  ["Fee returned", "What was kept for a contract's resources and not used: it comes back after the transaction. It is shown as a fee of its own, with a minus in the tables."],
  ["Stroop", "The smallest part of an asset that is not a contract's own: a ten-millionth. Amounts are kept in it (amount_raw) and written here with seven decimals."],
  ["Protocol", "The version of the network's rules that a ledger was made by."],
  ["Stellar Asset Contract", "The contract that every asset of the network has: contracts move the asset through it. It has no code of its own, so no interface is kept for it."],
  ["Contract", "A program on the ledger, named by an id that begins with C. It keeps its own storage and emits events."],
  ["Contract event", "What a contract says happened: a name, topics and data."],
  ["Account", "A holder with keys, named by an id that begins with G."],
  ["Closed", "A ledger's time is when the network closed it, in UTC, by the network's own clock."],
  ["As of ledger", "An answer is true at one ledger: it has everything up to that one and nothing after it."],
  ["Coverage", "Which ledgers a table has. A ledger that is covered is there in full, with rows or without; one that is not is missing, and is known to be."],
  ["Lag", "How long ago the newest ledger here closed."],
  ["In memory, stored", "New ledgers are answered from memory until they are in the stored tables; each is counted once."],
];

export async function view(page) {
  fill(page, h("h1", {}, "Terms explained"), h("dl", { class: "terms" }, TERMS.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])));
  return "Terms";
}
