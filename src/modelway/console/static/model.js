// One model: its form, its answer, files of rows, how code calls it, and what is known of it.

import { predictionView, problemView } from "./answer.js";
import { copyButton, element, freshId, numberText } from "./dom.js";
import { field } from "./fields.js";
import { filePanel } from "./file.js";
import { predict, predictUrl } from "./service.js";

/** The view of an endpoint, from what the service says of it. */
export function modelView(model) {
  const tabular = model.signature.columns?.length > 0;
  const input = tabular ? rowForm(model) : tensorForm(model);
  const title = freshId("model");
  return element("section", { "aria-labelledby": title },
    heading(model, title),
    element("div", { class: "two" }, input.element, input.result),
    tabular ? filePanel(model) : null,
    codePanel(model, input),
    aboutPanel(model));
}

function heading(model, title) {
  const chip = (text, kind = "") => element("li", { class: `chip ${kind}` }, text);
  const chips = [chip(model.task), chip(runtimeText(model))];
  if (model.compiled && model.parity?.passed) chips.push(chip("proven equal to the original", "good"));
  return element("header", { class: "model" },
    element("h1", { id: title }, model.name),
    element("ul", { class: "chips" }, chips),
    model.signature.description ? element("p", {}, model.signature.description) : null);
}

function runtimeText(model) {
  if (model.compiled) return "compiled to ONNX";
  return model.runtime === "onnx" ? "ONNX" : `native, ${model.runtime}`;
}

/** A form with a field for each column: `element`, `result`, and `body()`, what it would send. */
function rowForm(model) {
  const fields = model.signature.columns.map(field);
  const row = () => Object.fromEntries(fields
    .map((one) => [one.column.name, one.read() ?? (one.column.nullable ? null : undefined)]).filter(([, value]) => value !== undefined));
  const fill = (values) => fields.forEach((one) => one.write(values?.[one.column.name]));
  const form = frame("One row", [element("div", { class: "fields" }, fields.map((one) => one.element))], {
    sample: () => fill(model.sample),
    clear: () => { fill({}); fields[0].focus(); },
  });
  const { panel, show } = resultPanel();

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fields.forEach((one) => one.clear());
    const unreadable = fields.filter((one) => one.unreadable());
    if (unreadable.length) {
      unreadable.forEach((one) => one.complain(one.unreadable()));
      unreadable[0].focus();
      return;
    }
    const answer = await asking(form, () => ask(model, row()));
    if (answer.ok) {
      show(predictionView(answer.json, model.signature.label_names, answer.milliseconds));
      mark(fields, answer.json.warnings, (one, warning) => one.warn(`unusual: expected ${warning.expected}`));
    } else {
      const placed = mark(fields, answer.json?.errors, (one, error) =>
        one.complain(`expected ${error.expected}, ${error.received ? `got ${error.received}` : "nothing came"}`));
      show(problemView(answer.json, answer.status, placed));
      fields.find((one) => one.element.classList.contains("wrong"))?.focus();
    }
  });
  fill(model.sample);
  return { element: form, result: panel, body: row };
}

/** Nested arrays as JSON, where a model takes tensors. */
function tensorForm(model) {
  const id = freshId("tensors");
  const sample = JSON.stringify(model.sample, null, 2);
  const text = element("textarea", { id, rows: 14, spellcheck: false, value: sample });
  const note = element("p", { class: "note", id: `${id}-note`, hidden: true });
  text.setAttribute("aria-describedby", note.id);
  const form = frame("Tensors", [element("div", { class: "field" },
    element("label", { htmlFor: id }, "JSON, a nested array for each tensor"), text, note)], {
    sample: () => { text.value = sample; },
    clear: () => { text.value = ""; text.focus(); },
  });
  const { panel, show } = resultPanel();
  const body = () => JSON.parse(text.value);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    note.hidden = true;
    let sent;
    try {
      sent = body();
    } catch (error) {
      note.textContent = error.message;
      note.hidden = false;
      text.focus();
      return;
    }
    const answer = await asking(form, () => ask(model, sent));
    show(answer.ok
      ? predictionView(answer.json, model.signature.label_names, answer.milliseconds)
      : problemView(answer.json, answer.status));
  });
  return { element: form, result: panel, body: () => { try { return body(); } catch { return model.sample; } } };
}

const ask = (model, sent) =>
  predict(model.name, JSON.stringify(sent), "application/json", "application/json");

function frame(title, content, { sample, clear }) {
  const id = freshId("form");
  return element("form", { class: "card", noValidate: true, "aria-labelledby": id },
    element("h2", { id }, title), content,
    element("div", { class: "actions" },
      element("button", { type: "submit", class: "button" }, "Predict"),
      element("button", { type: "button", class: "plain", onclick: sample }, "Sample values"),
      element("button", { type: "button", class: "plain", onclick: clear }, "Clear")));
}

function resultPanel() {
  const id = freshId("result");
  const live = element("div", { role: "status", "aria-live": "polite", class: "live" },
    element("p", { class: "quiet empty" }, "Fill in the fields and press Predict."));
  const panel = element("section", { class: "card result", "aria-labelledby": id },
    element("h2", { id }, "Answer"), live);
  return {
    panel,
    show(view) {
      live.replaceChildren(view);
      panel.scrollIntoView({ block: "nearest" }); // on a phone it lies below the form
    },
  };
}

/** The answer of `work`, the form's button being out of use meanwhile. */
async function asking(form, work) {
  const button = form.querySelector("[type=submit]");
  button.setAttribute("aria-disabled", "true");
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** Say what was found at the field it is about; gives those that have one. */
function mark(fields, found, say) {
  const placed = new Set();
  for (const one of found ?? []) {
    const at = fields.find(({ column }) => column.name === one.column || column.alias === one.column);
    if (at) {
      say(at, one);
      placed.add(one);
    }
  }
  return placed;
}

function codePanel(model, { element: form, body }) {
  const curl = element("code");
  const python = element("code");
  const write = () => {
    const row = body();
    const quoted = JSON.stringify(row).replaceAll("'", "'\\''");
    curl.textContent = `curl '${predictUrl(model.name)}' \\\n  -H 'content-type: application/json' \\\n  -d '${quoted}'`;
    const base = new URL(".", document.baseURI).href.replace(/\/$/, "");
    python.textContent = `import modelway\n\nclient = modelway.Client(${JSON.stringify(base)}, endpoint=${JSON.stringify(model.name)})\nclient.predict(${pythonText(row)})`;
  };
  const block = (title, code) => element("div", { class: "code" },
    element("h3", {}, title), copyButton(() => code.textContent),
    element("pre", { tabIndex: 0 }, code));
  const details = element("details", { class: "card" },
    element("summary", {}, element("h2", {}, "The same from code")),
    block("Shell", curl), block("Python", python));
  details.addEventListener("toggle", write);
  for (const kind of ["input", "click"]) form.addEventListener(kind, write);
  return details;
}

/** A JSON value as Python writes it. */
function pythonText(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${pythonText(one)}`);
  return `{${entries.join(", ")}}`;
}

function aboutPanel(model) {
  const facts = [["Version", element("code", {}, model.version)]];
  if (model.digest && model.digest !== model.version) facts.push(["Digest", element("code", {}, model.digest)]);
  facts.push(["Task", model.task], ["Runtime", runtimeText(model)]);
  if (model.why_native) facts.push(["Why native", model.why_native]);
  if (model.classes) {
    const names = model.signature.label_names ?? {};
    facts.push(["Labels", model.classes.map((label) =>
      names[label] ? `${label} (${names[label]})` : String(label)).join(", ")]);
  }
  if (model.parity) facts.push(["Parity", parityText(model.parity)]);
  for (const [name, value] of Object.entries(model.metrics ?? {})) facts.push([name, numberText(value)]);
  return element("details", { class: "card" },
    element("summary", {}, element("h2", {}, "About this model")),
    element("dl", { class: "facts" }, facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    columnsTable(model.signature));
}

function parityText(parity) {
  const rows = Object.values(parity.rows ?? {}).reduce((sum, one) => sum + one, 0);
  const verdict = parity.passed ? "Compared with the original" : `Not passed (${parity.reason ?? "see record.json"})`;
  return `${verdict}: ${rows.toLocaleString("en")} rows, ${parity.flips} flipped labels, largest deviation ${numberText(parity.largest_deviation)}`;
}

function columnsTable(signature) {
  if (!signature.columns?.length) return null;
  const cells = (column) => [
    column.name, column.alias === column.name ? "" : column.alias, column.datatype.toLowerCase(),
    column.categories?.length ? column.categories.join(", ")
      : [column.minimum, column.maximum].some((v) => v !== null && v !== undefined)
        ? `${numberText(column.minimum ?? -Infinity)} to ${numberText(column.maximum ?? Infinity)}` : "",
    column.nullable ? "yes" : "no", column.unit ?? "",
  ];
  const names = ["Column", "In URLs", "Type", "In training", "May be missing", "Unit"];
  const rows = signature.columns.map(cells);
  const kept = names.map((_, place) => place < 1 || rows.some((row) => row[place] !== ""));
  const only = (row) => row.filter((_, place) => kept[place]);
  return element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Columns" },
    element("table", {},
      element("thead", {}, element("tr", {}, only(names).map((n) => element("th", { scope: "col" }, n)))),
      element("tbody", {}, rows.map((row) =>
        element("tr", {}, only(row).map((v) => element("td", {}, v)))))));
}
