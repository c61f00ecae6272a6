// What the service answered, shown: a prediction with its probabilities and warnings, or a problem.

import { element, valueText } from "./dom.js";

const ABOUT = new Set(["label", "probabilities", "warnings", "endpoint", "version", "prediction_id"]);
const SHOWN_LABELS = 10;

/** The prediction of one row; `labels` are the names of labels, where they have some. */
export function predictionView(answer, labels, milliseconds) {
  if (answer.outputs) return outputsView(answer, milliseconds);
  const word = Object.keys(answer).find((key) => !ABOUT.has(key)) ?? "prediction";
  const value = answer[word];
  const headline = answer.label ?? (value === null ? "no finite value" : valueText(value));
  const parts = [
    element("p", { class: "kicker" }, word),
    element("p", { class: headline.length > 24 ? "headline long" : "headline" }, headline),
  ];
  if (answer.label !== undefined) {
    parts.push(element("p", { class: "quiet" }, `label ${valueText(value)}`));
  }
  if (answer.probabilities) parts.push(bars(answer.probabilities, value, labels));
  if (answer.warnings?.length) parts.push(warnings(answer.warnings));
  parts.push(trace(answer, milliseconds));
  return element("div", { class: "answer" }, parts);
}

/** Tensors, as they came. */
function outputsView(answer, milliseconds) {
  return element("div", { class: "answer" },
    Object.entries(answer.outputs).map(([name, value]) => element("div", {},
      element("p", { class: "kicker" }, name), element("pre", { tabIndex: 0 }, valueText(value)))),
    answer.warnings?.length ? warnings(answer.warnings) : null,
    trace(answer, milliseconds));
}

function trace(answer, milliseconds) {
  return element("p", { class: "trace" },
    `answered in ${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`,
    element("br"), "prediction ", element("code", {}, answer.prediction_id ?? ""));
}

const HEADLINES = {
  400: "This cannot be read",
  404: "There is no such model",
  413: "This is too large",
  422: "Some values do not fit",
  500: "The model failed",
  503: "Not ready yet",
};

/** A problem document, for people; `fields` says which of its errors stand at a field already. */
export function problemView(problem, status, atFields = new Set()) {
  const errors = (problem?.errors ?? []).filter((error) => !atFields.has(error));
  const total = problem?.total ?? problem?.errors?.length ?? 0;
  const said = atFields.size
    ? `${total} ${total === 1 ? "value does" : "values do"} not fit. They are marked in the form.`
    : problem?.detail ?? "The service gave no reason.";
  const parts = [
    element("p", { class: "kicker" }, status ? `error ${status}` : "error"),
    element("p", { class: "headline problem" }, HEADLINES[status] ?? problem?.title ?? "Something went wrong"),
    element("p", {}, said),
  ];
  if (errors.length) {
    parts.push(element("ul", { class: "faults" }, errors.map((error) => element("li", {},
      element("code", {}, error.pointer), " ", error.message ?? error.expected))));
    const more = total - (problem.errors?.length ?? 0);
    if (more > 0) parts.push(element("p", { class: "quiet" }, `and ${more} more`));
  }
  if (problem?.hint) parts.push(element("p", { class: "quiet" }, problem.hint));
  if (problem?.request_id) {
    parts.push(element("p", { class: "trace" }, "request ", element("code", {}, problem.request_id)));
  }
  return element("div", { class: "answer" }, parts);
}

/** Probabilities, the largest first; each is text with a bar that only repeats it. */
function bars(probabilities, predicted, labels) {
  const sorted = Object.entries(probabilities).sort((a, b) => (b[1] ?? 0) - (a[1] ?? 0));
  const row = ([label, share]) => {
    const bar = element("span", { class: "bar" });
    bar.style.width = `${100 * Math.min(1, Math.max(0, share ?? 0))}%`;
    const chosen = labelTexts(predicted).includes(label);
    return element("li", { class: chosen ? "chosen" : "" },
      element("span", { class: "name" }, labels?.[label] ?? label),
      element("span", { class: "share" }, share === null ? "–" : percent(share)),
      element("span", { class: "track", "aria-hidden": "true" }, bar));
  };
  const list = element("ul", { class: "bars", "aria-label": "Probabilities" },
    sorted.slice(0, SHOWN_LABELS).map(row));
  if (sorted.length <= SHOWN_LABELS) return list;
  const more = element("details", {},
    element("summary", {}, `${sorted.length - SHOWN_LABELS} more labels`),
    element("ul", { class: "bars" }, sorted.slice(SHOWN_LABELS).map(row)));
  return element("div", {}, list, more);
}

/** How a label may be written as a key: as Python writes it, where 1.0 and True are labels. */
function labelTexts(label) {
  if (typeof label === "boolean") return [label ? "True" : "False"];
  return [String(label), `${label}.0`];
}

function percent(share) {
  const text = (100 * share).toFixed(1);
  if (text === "0.0" && share > 0) return "< 0.1 %";
  if (text === "100.0" && share < 1) return "> 99.9 %";
  return `${text} %`;
}

function warnings(found) {
  return element("div", { class: "warnings" },
    element("p", {}, found.length === 1 ? "One thing is unusual:" : `${found.length} things are unusual:`),
    element("ul", {}, found.map((warning) => element("li", {}, warning.message))));
}
