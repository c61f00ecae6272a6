// The service that this page came from; every address is relative to the page.

/** The endpoints, and which one is the default. */
export const listModels = () => json("models");

/** Everything the service says of one endpoint. */
export const describeModel = (name) => json(`models/${encodeURIComponent(name)}`);

/** Where an endpoint is asked. */
export const predictUrl = (name) =>
  new URL(`models/${encodeURIComponent(name)}/predict`, document.baseURI);

/**
 * The answer to rows: `{ok, status, text, json, milliseconds}`.
 * `json` is undefined where the body is something else; `status` is 0 where nobody answered.
 */
export async function predict(name, body, type, accept) {
  const started = performance.now();
  try {
    const response = await fetch(predictUrl(name), {
      method: "POST",
      headers: { "content-type": type, accept: `${accept}, application/problem+json` },
      body,
    });
    const text = await response.text();
    const milliseconds = performance.now() - started;
    return { ok: response.ok, status: response.status, text, json: parsed(text), milliseconds };
  } catch {
    const detail = "The service does not answer. Is it still running?";
    return { ok: false, status: 0, text: detail, json: { title: "No answer", detail } };
  }
}

async function json(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  const text = await response.text();
  const value = parsed(text);
  if (!response.ok || value === undefined) {
    throw new Error(value?.detail ?? `${path} answered ${response.status}`);
  }
  return value;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
