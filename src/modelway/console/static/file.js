// A CSV file for a model: it is sent as it is, and what comes back stands beside its rows, as a
// table of the first ones and as a file.

import { problemView } from "./answer.js";
import { formatCsv, parseCsv } from "./csv.js";
import { element, freshId } from "./dom.js";
import { predict } from "./service.js";

const SHOWN_ROWS = 20;

/** The card with which a file is chosen and sent. */
export function filePanel(model) {
  const id = freshId("file");
  const input = element("input", { type: "file", id, accept: ".csv,text/csv" });
  const out = element("div", { class: "bulk", role: "status", "aria-live": "polite" });
  const drop = element("div", { class: "drop" },
    element("label", { htmlFor: id }, "CSV file"),
    input,
    element("p", { class: "hint" }, "The first line names the columns. Drop a file here, or choose one."));
  let asked = 0;

  async function send(file) {
    const mine = ++asked;
    out.replaceChildren(element("p", { class: "quiet" }, `Predicting ${file.name} …`));
    const [answer, sent] = await Promise.all([
      predict(model.name, file, "text/csv", "text/csv"), file.text()]);
    if (mine !== asked) return;
    out.replaceChildren(answer.ok
      ? resultView(file.name, parseCsv(sent), parseCsv(answer.text))
      : problemView(answer.json, answer.status));
  }

  input.addEventListener("change", () => { if (input.files[0]) send(input.files[0]); });
  input.addEventListener("click", () => { input.value = ""; }); // the same file again counts too
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, () => drop.classList.remove("over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });

  return element("section", { class: "card", "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, "Many rows"), drop, out);
}

function resultView(name, sent, found) {
  const rows = beside(sent, found);
  const count = rows.length - 1;
  const added = new Set(found[0]);
  const offset = rows[0].length - found[0].length;
  const isAdded = (place) => place >= offset && added.has(rows[0][place]);
  const isWarned = (place) => isAdded(place) && rows[0][place] === "warnings";
  const url = URL.createObjectURL(new Blob([formatCsv(rows)], { type: "text/csv" }));
  const download = element("a", {
    class: "button", href: url, download: `${name.replace(/\.csv$/i, "")}-predictions.csv`,
  }, "Download CSV");
  const heading = (value, place) =>
    element("th", { class: isAdded(place) ? "added" : "", scope: "col" }, value);
  const cell = (value, place) => (isWarned(place)
    ? element("td", { class: "added prose" }, messages(value))
    : element("td", { class: isAdded(place) ? "added" : "" }, value));
  const table = element("table", {},
    element("caption", {}, count > SHOWN_ROWS
      ? `The first ${SHOWN_ROWS} of ${count} rows` : `${count} ${count === 1 ? "row" : "rows"}`),
    element("thead", {}, element("tr", {}, rows[0].map(heading))),
    element("tbody", {}, rows.slice(1, SHOWN_ROWS + 1).map((row) =>
      element("tr", {}, row.map(cell)))));
  return element("div", {},
    element("p", { class: "done" }, `${count} rows of ${name} predicted. `, download),
    element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Predictions" }, table));
}

/** A row's warnings, which come as JSON, for people. */
function messages(text) {
  return text ? JSON.parse(text).map((warning) => warning.message).join("; ") : "";
}

/** The rows that were sent with the answers beside them; the answers alone if they do not pair. */
function beside(sent, found) {
  if (sent.length !== found.length) return found;
  return sent.map((row, k) => [...row, ...found[k]]);
}
