// Requests to the server.

/** A failure that a retry does not cure. */
export class Final extends Error {}

/** Posts a form, or nothing. Resolves to the JSON of the response. */
export async function post(url, form) {
  let response;
  try {
    response = await fetch(url, {
      method: 'POST', body: form, headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(30_000),
    });
  } catch {
    throw new Error('the server cannot be reached');
  }
  if (response.ok) return response.json();
  if (response.status === 401) throw new Final('the session has expired, please sign in again');
  const body = await response.json().catch(() => ({}));
  const message = body.error?.message ?? `the server responded with status ${response.status}`;
  throw response.status < 500 ? new Final(message) : new Error(message);
}
