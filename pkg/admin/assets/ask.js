// What the scripts of pages ask the server.

/** A failure that asking again does not mend. */
export class Final extends Error {}

/** Posts a form, or nothing. Resolves to the JSON of the answer; rejects with what went wrong. */
export async function post(address, form) {
  let response;
  try {
    response = await fetch(address, {
      method: 'POST', body: form, headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(30_000),
    });
  } catch {
    throw new Error('the server cannot be reached');
  }
  if (response.ok) return response.json();
  if (response.status === 401) throw new Final('the session has ended, please sign in again');
  const answer = await response.json().catch(() => ({}));
  const message = answer.error?.message ?? `the server answered with status ${response.status}`;
  throw response.status < 500 ? new Final(message) : new Error(message);
}
