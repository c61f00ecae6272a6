// One field of a form for one column of a signature: what may be put in, what it stands for, and
// what is said beside it when the service finds it wrong or unusual.

import { element, freshId, numberText } from "./dom.js";

const OTHER = "\u0000other";

/**
 * The field of a column: `element`, `read()` (undefined where nothing was put in), `write(value)`,
 * `complain(text)`, `warn(text)`, `clear()`, `focus()`.
 */
export function field(column) {
  const id = freshId("field");
  const control = controlOf(column, id);
  const note = element("p", { class: "note", id: `${id}-note`, hidden: true });
  const hint = element("p", { class: "hint", id: `${id}-hint` }, hintOf(column));
  const name = [column.name];
  if (column.unit) name.push(element("span", { class: "unit" }, ` ${column.unit}`));
  if (column.nullable) name.push(element("span", { class: "unit" }, " optional"));
  const label = element("label", { htmlFor: id }, name);
  control.input.setAttribute("aria-describedby", `${hint.id} ${note.id}`);
  const whole = element(
    "div", { class: "field", "data-column": column.name },
    control.first ? [control.element, label] : [label, control.element], hint, note,
  );
  if (control.first) whole.classList.add("check");

  function say(kind, text) {
    whole.classList.toggle("wrong", kind === "wrong");
    whole.classList.toggle("unusual", kind === "unusual");
    if (kind === "wrong") control.input.setAttribute("aria-invalid", "true");
    else control.input.removeAttribute("aria-invalid");
    note.textContent = text;
    note.hidden = !text;
  }
  whole.addEventListener("input", () => say("", ""));
  return {
    column,
    element: whole,
    read: control.read,
    write(value) { control.write(value); say("", ""); },
    complain: (text) => say("wrong", text),
    warn: (text) => say("unusual", text),
    clear: () => say("", ""),
    focus: () => control.input.focus(),
    /** What the browser itself cannot read, so that it is never sent: text in a number field. */
    unreadable: () => (control.input.validity?.badInput ? "This is not readable" : ""),
  };
}

const isFloat = (column) => column.datatype.startsWith("FP");
const isNumber = (column) => isFloat(column) || /^U?INT/.test(column.datatype);

function controlOf(column, id) {
  if (column.categories?.length) return choice(column, id);
  if (column.datatype === "BOOL") return column.nullable ? threeWay(id) : checkbox(id);
  if (column.datatype === "DATETIME") return moment(id);
  if (isNumber(column) || column.datatype === "CATEGORICAL" && column.minimum !== null) {
    return number(column, id);
  }
  return text(id);
}

function number(column, id) {
  const input = element("input", {
    id, type: "number", step: isFloat(column) ? "any" : "1", autocomplete: "off",
    inputMode: isFloat(column) ? "decimal" : "numeric",
  });
  return {
    input, element: input,
    read: () => (input.value === "" ? undefined : Number(input.value)),
    write: (value) => { input.value = value ?? ""; },
  };
}

function text(id) {
  const input = element("input", { id, type: "text", autocomplete: "off" });
  return {
    input, element: input,
    read: () => (input.value === "" ? undefined : input.value),
    write: (value) => { input.value = value ?? ""; },
  };
}

function moment(id) {
  const input = element("input", { id, type: "datetime-local", step: "1" });
  return {
    input, element: input,
    read: () => (input.value === "" ? undefined : `${input.value}Z`),
    write: (value) => { input.value = value ? String(value).slice(0, 19) : ""; },
  };
}

function checkbox(id) {
  const input = element("input", { id, type: "checkbox" });
  return {
    input, element: input, first: true,
    read: () => input.checked,
    write: (value) => { input.checked = Boolean(value); },
  };
}

function threeWay(id) {
  const options = [["", "missing"], ["true", "true"], ["false", "false"]];
  const input = element("select", { id }, options.map(([value, shown]) =>
    element("option", { value }, shown)));
  return {
    input, element: input,
    read: () => (input.value === "" ? undefined : input.value === "true"),
    write: (value) => { input.value = value === null || value === undefined ? "" : String(value); },
  };
}

/** The categories as choices; one that was not seen in training may be typed where allowed. */
function choice(column, id) {
  const numeric = typeof column.categories[0] === "number";
  const option = (value, shown) => element("option", { value }, shown);
  const input = element("select", { id },
    option("", column.nullable ? "missing" : "choose …"),
    column.categories.map((value, place) => option(String(place), String(value))),
    column.closed ? [] : [option(OTHER, "another value …")]);
  const other = element("input", {
    type: numeric ? "number" : "text", hidden: true, "aria-label": `${column.name}, another value`,
  });
  input.addEventListener("change", () => {
    other.hidden = input.value !== OTHER;
    if (!other.hidden) other.focus();
  });
  const both = element("div", { class: "choice" }, input, other);
  return {
    input, element: both,
    read() {
      if (input.value === "") return undefined;
      if (input.value !== OTHER) return column.categories[Number(input.value)];
      if (other.value === "") return undefined;
      return numeric ? Number(other.value) : other.value;
    },
    write(value) {
      const place = column.categories.indexOf(value);
      const nothing = value === null || value === undefined;
      input.value = place >= 0 ? String(place) : nothing || column.closed ? "" : OTHER;
      other.hidden = input.value !== OTHER;
      other.value = other.hidden ? "" : value;
    },
  };
}

function hintOf(column) {
  const said = [];
  if (column.description) said.push(column.description);
  if (!column.categories?.length) {
    const low = column.minimum ?? null;
    const high = column.maximum ?? null;
    if (low !== null && high !== null) said.push(`${numberText(low)} to ${numberText(high)} in training`);
    else if (low !== null) said.push(`${numberText(low)} or more in training`);
    else if (high !== null) said.push(`${numberText(high)} or less in training`);
    else if (column.datatype === "DATETIME") said.push("date and time, UTC");
    else if (column.datatype === "BOOL") said.push("yes or no");
    else said.push(isFloat(column) ? "number" : isNumber(column) ? "whole number" : "text");
  }
  if (column.missing_ratio) said.push(`${Math.round(column.missing_ratio * 100)} % missing in training`);
  return said.join(" · ");
}
