// "Try it" for one operation: its parameters and body filled with the example, sent to the service.

import { element, freshId } from "./dom.js";
import { resolved } from "./schema.js";

const SHOWN_CHARACTERS = 20000;
const TEXTUAL = /json|csv|^text\//;

/** The form that sends one operation; `base` is the address that paths are appended to. */
export function trialForm(method, path, operation, document_, base) {
  const parameters = (operation.parameters ?? []).map((one) => parameterField(resolved(one, document_), document_));
  const content = operation.requestBody ? resolved(operation.requestBody, document_).content : null;
  const body = content ? bodyField(content) : null;
  const out = element("div", { role: "status", "aria-live": "polite" });
  const form = element("form", { class: "trial", noValidate: true },
    parameters.length ? element("div", { class: "fields" }, parameters.map((one) => one.element)) : null,
    body?.element,
    element("div", { class: "actions" }, element("button", { type: "submit", class: "button" }, "Send")),
    out);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const url = address(base, path, parameters);
    const request = { method: method.toUpperCase(), headers: { accept: accepted(operation) } };
    for (const { name, place, value } of parameters) {
      if (place === "header" && value()) request.headers[name] = value();
    }
    if (body) {
      request.headers["content-type"] = body.type();
      request.body = body.text();
    }
    out.replaceChildren(element("p", { class: "quiet" }, "Sending …"));
    const started = performance.now();
    try {
      const response = await fetch(url, request);
      const text = await response.text();
      out.replaceChildren(responseView(url, request, response, text, performance.now() - started));
    } catch (error) {
      out.replaceChildren(element("p", { class: "wrong" }, `The service does not answer: ${error.message}`));
    }
  });
  return form;
}

function parameterField(parameter, document_) {
  const id = freshId("parameter");
  const schema = resolved(parameter.schema ?? {}, document_);
  const example = parameter.example ?? (parameter.required ? schema.examples?.[0] ?? schema.enum?.[0] : undefined);
  const nothing = parameter.required ? null : element("option", { value: "" });
  const input = schema.enum
    ? element("select", { id }, nothing, schema.enum.map((one) => element("option", { value: String(one) }, String(one))))
    : element("input", { id, type: "text", autocomplete: "off" });
  input.value = String(example ?? "");
  return {
    name: parameter.name,
    place: parameter.in,
    value: () => input.value,
    element: element("div", { class: "field" },
      element("label", { htmlFor: id }, parameter.name,
        element("span", { class: "unit" }, parameter.required ? "" : " optional")), input),
  };
}

function bodyField(content) {
  const types = Object.keys(content).filter((type) => TEXTUAL.test(type));
  const id = freshId("body");
  const type = element("select", { id: `${id}-type` }, types.map((one) => element("option", {}, one)));
  const named = element("select", { id: `${id}-example` });
  const text = element("textarea", { id, rows: 8, spellcheck: false });
  const examples = () => {
    const media = content[type.value];
    if (media.examples) return Object.values(media.examples).map((one) => [one.summary, one.value]);
    return [["Example", media.example ?? ""]];
  };
  const fill = () => {
    const value = examples()[named.selectedIndex]?.[1];
    text.value = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  };
  const offer = () => {
    named.replaceChildren(...examples().map(([name]) => element("option", {}, name)));
    fill();
  };
  type.addEventListener("change", offer);
  named.addEventListener("change", fill);
  offer();
  return {
    type: () => type.value,
    text: () => text.value,
    element: element("div", { class: "body" },
      element("div", { class: "fields" },
        element("div", { class: "field" }, element("label", { htmlFor: type.id }, "Content type"), type),
        element("div", { class: "field" }, element("label", { htmlFor: named.id }, "Example"), named)),
      element("div", { class: "field" }, element("label", { htmlFor: id }, "Body"), text)),
  };
}

function address(base, path, parameters) {
  let filled = path;
  const query = new URLSearchParams();
  for (const { name, place, value } of parameters) {
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value()));
    else if (place === "query" && value() !== "") query.set(name, value());
  }
  const text = query.toString();
  return base.replace(/\/$/, "") + filled + (text ? `?${text}` : "");
}

/** The first textual type that the operation answers with. */
function accepted(operation) {
  const types = Object.keys(operation.responses?.["200"]?.content ?? {});
  return `${types.find((type) => TEXTUAL.test(type)) ?? "application/json"}, application/problem+json`;
}

function responseView(url, request, response, text, milliseconds) {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const shown = pretty(text);
  return element("div", { class: "response" },
    element("p", {}, element("span", { class: response.ok ? "status good" : "status bad" }, String(response.status)),
      ` ${request.method} `, element("code", {}, url), ` in ${milliseconds.toFixed(0)} ms`),
    element("details", {}, element("summary", {}, "Headers"), element("pre", { tabIndex: 0 }, headers)),
    element("pre", { tabIndex: 0, "aria-label": "Body of the response" },
      shown.length > SHOWN_CHARACTERS ? `${shown.slice(0, SHOWN_CHARACTERS)}\n…` : shown));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
