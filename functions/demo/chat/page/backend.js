// Requests to the backend of the application.

/** A request that the backend refuses as it is. */
export class Refused extends Error {}

/** Sends GET to a path, or POST if there is a body. Resolves to the JSON response; rejects with the error of the backend. */
export async function request(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...(body && post), signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new Error("the backend does not answer: try again later");
  }
  const result = await response.json().catch(() => ({}));
  if (response.ok) return result;
  const message = result.error ?? `the backend answered with status ${response.status}`;
  throw response.status === 400 || response.status === 403 ? new Refused(message) : new Error(message);
}
