// The page: which models there are, and the one that the address names after its `#`.

import { element } from "./dom.js";
import { modelView } from "./model.js";
import { describeModel, listModels } from "./service.js";

const main = document.getElementById("main");
const list = document.getElementById("models");
const views = new Map();

async function start() {
  try {
    const { default: chosen, models } = await listModels();
    const names = models.map((model) => model.name);
    list.replaceChildren(...names.map((name) =>
      element("a", { href: `#${encodeURIComponent(name)}` }, name)));
    list.hidden = names.length < 2;
    const fallback = names.includes(chosen) ? chosen : names[0];
    const show = () => showModel(named(names) ?? fallback, names);
    window.addEventListener("hashchange", show);
    await show();
  } catch (error) {
    failed(error);
  }
}

/** The model after the `#`; undefined where it names none. */
function named(names) {
  try {
    const name = decodeURIComponent(location.hash.slice(1));
    return names.includes(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

let current = "";

async function showModel(name, names) {
  if (name === current) return;
  current = name;
  [...list.children].forEach((link, place) => {
    if (names[place] === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
  main.setAttribute("aria-busy", "true");
  try {
    if (!views.has(name)) views.set(name, modelView(await describeModel(name)));
    if (current !== name) return;
    main.replaceChildren(views.get(name));
    document.title = `${name} – Modelway`;
  } catch (error) {
    if (current === name) current = "";
    failed(error);
  } finally {
    main.setAttribute("aria-busy", "false");
  }
}

function failed(error) {
  main.setAttribute("aria-busy", "false");
  main.replaceChildren(element("div", { class: "card", role: "alert" },
    element("h1", {}, "The service does not answer as it should"),
    element("p", {}, error.message),
    element("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again")));
}

start();
