// Elements, made of properties and children. Text is only ever a text node: nothing that a model
// or a service says can become markup.

/** An element; `properties` are set on it, those with a dash in their name as attributes. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

let count = 0;

/** An id that no other element of this page has. */
export function freshId(stem) {
  count += 1;
  return `${stem}-${count}`;
}

/** A number as a person reads it: as it is, or with 8 digits where a fraction is long. */
export function numberText(value) {
  const text = String(value);
  if (Number.isInteger(value) || text.length <= 12) return text;
  return String(Number(value.toPrecision(8)));
}

/** Any JSON value on one line, or on several where it is large. */
export function valueText(value) {
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  const flat = JSON.stringify(value);
  return flat.length <= 60 ? flat : JSON.stringify(value, null, 2);
}

/** Text in which what stands in backticks is code, as OpenAPI's descriptions have it. */
export function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));
}

/** A button that copies what `text()` gives. */
export function copyButton(text) {
  const button = element("button", { type: "button", class: "plain" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy here";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
}
