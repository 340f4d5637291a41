// Checks how the feed shows JSON: as it was sent.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const script = await readFile(new URL("../assets/json.js", import.meta.url));
const { indent } = await import(`data:text/javascript;base64,${script.toString("base64")}`);

for (const [text, want] of [
  ["12345678901234567890", "12345678901234567890"],
  ['{"b":1.0,"a":[1,{"a":"x, y"}],"a":[]}', '{\n  "b": 1.0,\n  "a": [\n    1,\n    {\n      "a": "x, y"\n    }\n  ],\n  "a": []\n}'],
  ['{"b":-1E+400,"10":1,"2":"\\u0041\\"\\\\\\/ é","}],":"{["}', '{\n  "b": -1E+400,\n  "10": 1,\n  "2": "\\u0041\\"\\\\\\/ é",\n  "}],": "{["\n}'],
  ["{}", "{}"],
  ["[[]]", "[\n  []\n]"],
]) {
  assert.equal(indent(text), want);
}

// A message may be as large and as deep as the limit allows.
const deep = "[".repeat(60_000) + "]".repeat(60_000);
assert.ok(indent(deep).length < 120_000 * 102);
assert.equal(indent(deep).replaceAll(/\s/g, ""), deep);
const long = JSON.stringify("\\\"\u2028".repeat(20_000));
assert.equal(indent(long), long);
