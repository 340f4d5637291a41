// Lets npm centrifuge converse with the local stack in a browser.
//
// Environment: HTTP_URL, WEBSOCKET_URL and MANAGEMENT_URL of a stack with seed.json, and
// CHROMIUM, see ../browser/session.mjs. It prints a line for each conversation. The exit status
// is 0 when all succeeded, otherwise 1.

import { readFile } from "node:fs/promises";
import { run } from "../browser/session.mjs";

const { HTTP_URL: http, WEBSOCKET_URL: socket, MANAGEMENT_URL: management } = process.env;
const bundle = new URL("../node_modules/centrifuge/dist/centrifuge.js", import.meta.url);
const files = {
  "/sdk/": ["text/html", async () => `<!doctype html><title>Conversations</title><link rel="icon" href="data:,"><script src="centrifuge.js"></script>`],
  "/sdk/centrifuge.js": ["text/javascript", () => readFile(bundle, "utf8")],
  "/sdk/conversations.mjs": ["text/javascript", () => readFile(new URL("conversations.mjs", import.meta.url), "utf8")],
};

await run(async (open) => {
  const { page } = await open("client");
  // The page is in the origin of the stack, which serves the server API without CORS.
  await page.route(`${http}/sdk/**`, async (route) => {
    const [contentType, read] = files[new URL(route.request().url()).pathname];
    await route.fulfill({ contentType, body: await read() });
  });
  await page.exposeFunction("report", (line) => console.log(line));
  await page.goto(`${http}/sdk/`);
  const failures = await page.evaluate(async (addresses) => {
    const { converseAll } = await import("/sdk/conversations.mjs");
    return converseAll({ Centrifuge: window.Centrifuge, WebSocket: window.WebSocket, ...addresses }, (name, error) => {
      window.report(error ? `FAIL  ${name}: ${error.stack ?? error}` : `ok    ${name}`);
    });
  }, { http, socket, management });
  if (failures > 0) throw new Error(`${failures} conversations failed`);
});
