// Asks the application's backend.

import { Refused } from "./centrifuge.js";

/** Gets what is at a path, or posts a body there. Rejects with what the backend says went wrong. */
export async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...(body && post), signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new Error("the application cannot be reached");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const message = answer.error ?? `the application answered with status ${response.status}`;
  throw response.status === 400 || response.status === 403 ? new Refused(message) : new Error(message);
}
