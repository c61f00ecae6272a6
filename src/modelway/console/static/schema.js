// JSON Schemas, made readable: a name, a type, what may be missing, and what is said of it.

import { element, prose } from "./dom.js";

const DEEPEST = 6;
const LISTED = 12;

/** The schema as a list of properties, or as one line where it has none. */
export function schemaView(schema, document_, depth = 0) {
  const shown = resolved(schema, document_);
  if (depth > DEEPEST) return element("p", { class: "quiet" }, "…");
  const choices = shown.anyOf ?? shown.oneOf;
  if (choices) {
    // What stands there itself is not shown a second time as the item of an array.
    const named = new Set(choices.map((one) => one.$ref).filter(Boolean));
    const parts = (one) => (named.has(one.items?.$ref) ? null : nested(one, document_, depth));
    return element("div", { class: "schema" },
      element("p", { class: "quiet" }, "one of"),
      element("ul", { class: "choices" }, choices.map((one) =>
        element("li", {}, element("p", { class: "type" }, typeText(one, document_)), parts(one)))));
  }
  return nested(shown, document_, depth) ?? element("p", { class: "type" }, typeText(shown, document_));
}

/** What lies inside: the properties of an object, the items of an array; null for a plain value. */
function nested(schema, document_, depth) {
  const shown = resolved(schema, document_);
  if (shown.type === "array" && shown.items) return nested(shown.items, document_, depth + 1);
  if (!shown.properties || depth > DEEPEST) return null;
  const required = new Set(shown.required ?? []);
  return element("div", { class: "schema" },
    shown.description ? element("p", { class: "quiet" }, prose(shown.description)) : null,
    element("dl", { class: "properties" }, Object.entries(shown.properties).map(([name, property]) =>
      propertyView(name, property, required.has(name), document_, depth))));
}

function propertyView(name, property, required, document_, depth) {
  const shown = resolved(property, document_);
  const inner = nested(shown, document_, depth + 1);
  return element("div", {},
    element("dt", {}, element("code", {}, name),
      element("span", { class: required ? "must" : "may" }, required ? "required" : "optional")),
    element("dd", {},
      element("span", { class: "type" }, typeText(shown, document_)),
      shown.description ? element("p", {}, prose(shown.description)) : null,
      inner ? element("details", {}, element("summary", {}, "its parts"), inner) : null));
}

/** The type in a few words: "number (double)", "array of iris.row", "0, 1 or 2". */
export function typeText(schema, document_) {
  if (schema.$ref && document_) {
    return schema.$ref.split("/").pop();
  }
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) {
    const some = schema.enum.slice(0, LISTED).map((one) => JSON.stringify(one)).join(", ");
    return schema.enum.length > LISTED ? `${some}, …` : some;
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((one) => typeText(one, document_)).join(" or ");
  const kinds = [schema.type ?? "anything"].flat();
  const words = kinds.map((kind) => {
    if (kind === "array" && schema.items) return `array of ${typeText(schema.items, document_)}`;
    if (kind === "array" && schema.prefixItems) return `array of ${schema.prefixItems.length} values`;
    return kind;
  });
  const notes = [];
  if (schema.format) notes.push(schema.format);
  if (schema.minimum !== undefined && Math.abs(schema.minimum) < 1e15) notes.push(`from ${schema.minimum}`);
  if (schema.maximum !== undefined && Math.abs(schema.maximum) < 1e15) notes.push(`to ${schema.maximum}`);
  return words.join(" or ") + (notes.length ? ` (${notes.join(" ")})` : "");
}

/** What a `$ref` stands for. */
export function resolved(schema, document_) {
  let found = schema;
  for (let hops = 0; found?.$ref && hops < 10; hops += 1) {
    const path = found.$ref.replace(/^#\//, "").split("/");
    found = path.reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document_);
  }
  return found ?? {};
}
