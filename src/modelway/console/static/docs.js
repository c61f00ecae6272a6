// The API, from /openapi.json: operations by group, what each takes and gives, and a form to try it.

import { element, freshId, prose } from "./dom.js";
import { resolved, schemaView, typeText } from "./schema.js";
import { trialForm } from "./trial.js";

const METHODS = ["post", "get", "put", "patch", "delete"];
const main = document.getElementById("main");

async function start() {
  try {
    const response = await fetch("openapi.json");
    const document_ = await response.json();
    if (!response.ok) throw new Error(document_.detail ?? `openapi.json answered ${response.status}`);
    const base = new URL(document_.servers?.[0]?.url ?? ".", response.url).href;
    main.replaceChildren(...pageOf(document_, base));
    openNamed();
  } catch (error) {
    main.replaceChildren(element("div", { class: "card", role: "alert" },
      element("h1", {}, "The description cannot be read"), element("p", {}, error.message)));
  }
  main.setAttribute("aria-busy", "false");
}

function pageOf(document_, base) {
  const groups = groupsOf(document_);
  return [
    element("header", { class: "model" },
      element("h1", {}, "API"),
      element("p", {}, document_.info.description ?? ""),
      element("p", { class: "quiet" }, "Everything here is generated from ",
        element("a", { href: "openapi.json" }, "openapi.json"),
        ` (OpenAPI ${document_.openapi}). Addresses start with `, element("code", {}, base.replace(/\/$/, "")))),
    ...groups.map(({ name, description, operations }) => {
      const id = freshId("group");
      return element("section", { "aria-labelledby": id },
        element("h2", { id }, name, element("span", { class: "unit" }, description ? ` ${description}` : "")),
        operations.map((one) => operationView(one, document_, base)));
    }),
  ];
}

function groupsOf(document_) {
  const groups = new Map((document_.tags ?? []).map((tag) =>
    [tag.name, { name: tag.name, description: tag.description, operations: [] }]));
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const name = item[method].tags?.[0] ?? "other";
      if (!groups.has(name)) groups.set(name, { name, operations: [] });
      groups.get(name).operations.push({ method, path, operation: item[method] });
    }
  }
  return [...groups.values()].filter((group) => group.operations.length);
}

function operationView({ method, path, operation }, document_, base) {
  const content = element("div", { class: "operation" });
  const details = element("details", { class: "card", id: operation.operationId },
    element("summary", {},
      element("span", { class: `method ${method}` }, method.toUpperCase()),
      element("code", { class: "path" }, path),
      element("span", { class: "quiet" }, operation.summary ?? "")),
    content);
  // Built when it is first opened: a service may have many models with many columns.
  details.addEventListener("toggle", () => {
    if (details.open && !content.childElementCount) {
      content.append(...partsOf(method, path, operation, document_, base));
    }
  });
  return details;
}

function partsOf(method, path, operation, document_, base) {
  const parts = [];
  if (operation.description) parts.push(element("p", {}, prose(operation.description)));
  if (operation.parameters?.length) {
    parts.push(element("h3", {}, "Parameters"), element("dl", { class: "properties" },
      operation.parameters.map((given) => {
        const one = resolved(given, document_);
        return element("div", {},
          element("dt", {}, element("code", {}, one.name),
            element("span", { class: one.required ? "must" : "may" }, one.required ? "required" : "optional")),
          element("dd", {}, element("span", { class: "type" }, typeText(one.schema ?? {}, document_)),
            one.description ? element("p", {}, prose(one.description)) : null));
      })));
  }
  if (operation.requestBody) {
    parts.push(element("h3", {}, "Request"), contentView(resolved(operation.requestBody, document_).content, document_));
  }
  parts.push(element("h3", {}, "Responses"), element("div", { class: "responses" },
    Object.entries(operation.responses).map(([status, given]) => {
      const one = resolved(given, document_);
      return element("details", {},
        element("summary", {}, element("span", { class: `status ${status < "400" ? "good" : "bad"}` }, status), " ", prose(one.description)),
        contentView(one.content ?? {}, document_));
    })));
  parts.push(element("h3", {}, "Try it"), trialForm(method, path, operation, document_, base));
  return parts;
}

function contentView(content, document_) {
  return element("div", { class: "content" }, Object.entries(content).map(([type, media]) =>
    element("div", {}, element("p", {}, element("code", { class: "media" }, type)),
      media.schema ? schemaView(media.schema, document_) : null)));
}

/** Open the operation that the address names after its `#`. */
function openNamed() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id ? document.getElementById(id) : null;
  if (target?.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView();
  }
}

window.addEventListener("hashchange", openNamed);
start();
