// Lets npm centrifuge converse with the local stack in a browser.
//
// Environment: HTTP_URL, WEBSOCKET_URL and MANAGEMENT_URL of a stack with seed.json, which are in
// one origin with the page /sdk/page.html and what it needs, and CHROMIUM, see
// ../browser/session.mjs. It prints a line for each conversation, and posts the lines to
// /sdk/printed. The exit status is 0 when all succeeded, otherwise 1.

import { run } from "../browser/session.mjs";

const { HTTP_URL: http, WEBSOCKET_URL: socket, MANAGEMENT_URL: management } = process.env;

await run(async (open) => {
  const { page } = await open("client");
  const lines = [];
  await page.exposeFunction("report", (line) => {
    console.log(line);
    lines.push(line);
  });
  await page.goto(new URL("/sdk/page.html", http).href);
  const failures = await page.evaluate(async (addresses) => {
    const { converseAll } = await import("/sdk/conversations.mjs");
    return converseAll({ Centrifuge: window.Centrifuge, WebSocket: window.WebSocket, ...addresses }, (name, error) => {
      window.report(error ? `FAIL  ${name}: ${error.stack ?? error}` : `ok    ${name}`);
    });
  }, { http, socket, management });
  await fetch(new URL("/sdk/printed", http), { method: "POST", body: lines.join("\n") });
  if (failures > 0) throw new Error(`${failures} conversations failed`);
});
