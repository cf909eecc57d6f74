// Requests to the API with the browser's session; a refusal is an Error with what the API said.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function request(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = newKey();
  const options = { method, headers, credentials: "same-origin", body: body && JSON.stringify(body) };
  const answer = await fetch(path, options).catch(() => {
    throw new Refused(0, "The server does not answer.");
  });
  const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
  const document = isJson ? await answer.json() : null;
  if (answer.ok) return document;
  if (answer.status === 401) window.location.assign("/login");
  throw new Refused(answer.status, message(answer, document));
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);

function message(answer, document) {
  const remedies = (document?.errors ?? []).map((error) => error.remedy).filter(Boolean);
  const said = document?.detail ?? `${answer.status} ${answer.statusText}`;
  return remedies.length && !remedies.every((remedy) => said.includes(remedy)) ? `${said}; ${remedies.join("; ")}` : said;
}

// crypto.randomUUID exists on secure origins only.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
