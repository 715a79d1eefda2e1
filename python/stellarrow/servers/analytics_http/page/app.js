// The page: which view an address shows, the search, the theme, the state of the service, signing in.
import { fill, h } from "./dom.js";
import { key, Problem } from "./api.js";
import { ago, count } from "./format.js";
import { live, start, watch } from "./live.js";

const PAGES = [
  ["/", "Overview"], ["/feed", "Feed"], ["/assets", "Assets"], ["/sql", "SQL"], ["/coverage", "Coverage"],
];
const VIEWS = [
  [/^\/$/, "overview"],
  [/^\/feed$/, "feed"],
  [/^\/assets$/, "assets"],
  [/^\/assets\/(.+)$/, "asset"],
  [/^\/accounts\/(.+)$/, "account"],
  [/^\/contracts\/(.+)$/, "contract"],
  [/^\/ledgers\/(.+)$/, "ledger"],
  [/^\/sql$/, "sql"],
  [/^\/coverage$/, "coverage"],
  [/^\/terms$/, "terms"],
];
const STATES = {
  connecting: ["Connecting", ""],
  live: ["Live", "live"],
  behind: ["Catching up", "behind"],
  stored: ["Stored data", ""],
  stale: ["No new ledgers", "behind"],
  locked: ["Not signed in", "behind"],
  lost: ["Disconnected", "lost"],
};
const main = document.getElementById("main");
let leaving = new AbortController();

/** Show what the address says. A view gets its place, the words of the address, and a signal of when it ends. */
async function show({ focus = true } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const path = location.pathname;
  for (const link of document.querySelectorAll("#nav a")) {
    const mine = link.getAttribute("href");
    const current = mine === "/" ? path === "/" : path.startsWith(mine);
    current ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  const [pattern, name] = VIEWS.find(([one]) => one.test(path)) ?? [/^/, "missing"];
  const words = (path.match(pattern) ?? []).slice(1).map(decodeURIComponent);
  main.setAttribute("aria-busy", "true");
  fill(main, h("p", { class: "wait" }, "Loading"));
  try {
    const { view } = await import(`./views/${name}.js`);
    if (signal.aborted) return;
    const page = fill(main, h("div", {})).firstChild;
    const title = await view(page, words, signal);
    if (!signal.aborted) document.title = `${title} · stellarrow`;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    trouble(error);
  }
  if (!signal.aborted) main.setAttribute("aria-busy", "false");
  if (focus && !signal.aborted) main.focus({ preventScroll: true });
}

function trouble(error) {
  const text = error instanceof Problem ? error.message : "Something went wrong on this page.";
  if (!(error instanceof Problem)) console.error(error);
  const again = h("button", { type: "button", onclick: () => show() }, "Try again");
  main.prepend(h("div", { class: "trouble", role: "alert" }, h("p", {}, text), again));
  main.querySelector(".wait")?.remove();
}

export function go(path) {
  history.pushState(null, "", path);
  scrollTo(0, 0);
  show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const { pathname, search, hash, origin } = new URL(link.href);
  if (origin !== location.origin || link.target || hash || !VIEWS.some(([one]) => one.test(pathname))) return;
  event.preventDefault();
  go(pathname + search);
});
addEventListener("popstate", () => show());

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = document.getElementById("find").value.trim();
  if (text) go(found(text));
});

/** Where what was typed is shown. */
function found(text) {
  if (/^[\d,_ ]+$/.test(text)) return `/ledgers/${text.replace(/\D/g, "")}`;
  if (/^G[A-Z2-7]{55}$/.test(text)) return `/accounts/${text}`;
  if (/^C[A-Z2-7]{55}$/.test(text)) return `/contracts/${text}`;
  if (/^(xlm|native)$/i.test(text)) return "/assets/native";
  if (text.includes(":")) return `/assets/${encodeURIComponent(text)}`;
  return `/feed?${new URLSearchParams({ table: "token_transfers", assets: text })}`;
}

fill(document.getElementById("nav"), PAGES.map(([path, name]) => h("a", { href: path }, name)));

const theme = document.getElementById("theme");
function dress(name) {
  if (name) document.documentElement.dataset.theme = name;
  const dark = name ? name === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.setAttribute("aria-label", dark ? "Use the light theme" : "Use the dark theme");
  theme.dataset.next = dark ? "light" : "dark";
  dispatchEvent(new CustomEvent("stellarrow-theme"));
}
theme.addEventListener("click", () => {
  localStorage.setItem("stellarrow.theme", theme.dataset.next);
  dress(theme.dataset.next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dress(localStorage.getItem("stellarrow.theme")));
dress(localStorage.getItem("stellarrow.theme"));

/** What a reader should know beside the word: what is shown is old, and why. */
function said(state, status) {
  const shown = status?.as_of_ledger ? ` What is shown is as of ledger ${count(status.as_of_ledger)}.` : "";
  if (state === "lost") return `The service does not answer; this page asks again by itself.${shown}`;
  if (state === "stale" && status?.following?.trouble) return `No new ledgers come: ${status.following.trouble}`;
  return "";
}

const away = document.getElementById("away");
const pill = document.getElementById("pill");
watch(({ state, status }) => {
  const [word, kind] = STATES[state];
  const text = said(state, status);
  if (away.textContent !== text) away.textContent = text;
  away.hidden = !text;
  if (pill.textContent !== word) pill.textContent = word;
  pill.className = `pill ${kind}`;
  pill.title = status?.following?.trouble ?? (status?.closed_at ? `Newest ledger closed ${ago(status.lag_seconds)}` : "");
  if (status) {
    document.getElementById("about").textContent =
      `${status.network ?? "Network not known"} · ${status.as_of_ledger ? `ledger ${count(status.as_of_ledger)}` : "no ledger yet"} · stellarrow ${status.version}`;
  }
});

const dialog = document.getElementById("sign-in");
addEventListener("stellarrow-sign-in", () => {
  if (dialog.open) return;
  const typed = h("input", { type: "password", name: "key", autocomplete: "off", required: true, "aria-label": "API key or token" });
  fill(dialog, h("form", {
    method: "dialog",
    onsubmit: () => { key.set(typed.value.trim()); show(); },
  },
  h("h2", { id: "sign-in-title" }, "This service asks who you are"),
  h("p", {}, "Give an API key that may read ledgers (stellarrow keys create), or a token of your identity provider. It is kept until this tab closes."),
  typed, h("button", { class: "main" }, "Continue")));
  dialog.showModal();
});

start();
show({ focus: false });
export { live };
