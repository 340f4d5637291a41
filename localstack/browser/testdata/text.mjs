// Draws a text and fails when it has no width or the browser complains.

import assert from "node:assert/strict";

import { run } from "../session.mjs";

await run(async (open) => {
  const reader = await open("reader", {}, "data:text/html,<p style='display:inline-block'>Hello</p>");
  const box = await reader.box(reader.page.locator("p"));
  assert.ok(box.width > 20 && box.height > 10, `the text has ${box.width} × ${box.height} pixels`);
});
