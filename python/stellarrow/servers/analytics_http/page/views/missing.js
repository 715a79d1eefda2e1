import { fill, h } from "../dom.js";

export async function view(page) {
  fill(page, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "/" }, "Go to the overview")));
  return "No such page";
}
