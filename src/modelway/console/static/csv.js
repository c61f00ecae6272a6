// CSV, read and written. Source: RFC 4180.

/** The rows of a CSV text, each a list of cells; empty lines are left out. */
export function parseCsv(text) {
  const rows = [];
  let row = [];
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  while (at < text.length) {
    let cell = "";
    const quoted = text[at] === '"';
    if (quoted) {
      at += 1;
      for (;;) {
        const end = text.indexOf('"', at);
        cell += text.slice(at, end < 0 ? text.length : end);
        at = end < 0 ? text.length : end + 1;
        if (text[at] !== '"') break;
        cell += '"';
        at += 1;
      }
    }
    const from = at;
    while (at < text.length && text[at] !== "," && text[at] !== "\n" && text[at] !== "\r") at += 1;
    cell += text.slice(from, at);
    row.push(cell);
    const last = text[at] !== ",";
    at += text.startsWith("\r\n", at) ? 2 : 1;
    if (!last && at >= text.length) row.push("");
    if (last || at >= text.length) {
      if (row.length > 1 || row[0] !== "" || quoted) rows.push(row);
      row = [];
    }
  }
  return rows;
}

/** Rows as CSV text. */
export function formatCsv(rows) {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}
