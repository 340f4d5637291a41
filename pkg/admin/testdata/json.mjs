// Checks how the feed shows JSON: as it was sent.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const script = await readFile(new URL("../assets/json.js", import.meta.url));
const { valueOf, indent } = await import(`data:text/javascript;base64,${script.toString("base64")}`);

for (const [name, value] of Object.entries({
  "digits": "12345678901234567890.100",
  "an exponent": "-1E+400",
  "the order of keys": '{"b":1,"10":2,"2":3}',
  "equal keys": '{"a":1,"a":{"a":2}}',
  "escapes": '"\\u0041\\"\\\\\\/ é\\ud83d"',
  "brackets and commas in text": '{"}],":["{[",":"]}',
  "a key like that of the push": '{"data":{"data":1}}',
  "nothing": "null",
  "an empty object": "{}",
  "an empty list": "[]",
  "an empty text": '""',
})) {
  for (const frame of [`{"channel":"x","data":${value}}`, `{ "data" : ${value} ,"channel":"\\"data\\":1"}`, `{"data":0,"list":[{"data":1}],"data":${value}}`]) {
    assert.equal(valueOf(frame, "data"), value, `${name} in ${frame}`);
  }
}
assert.equal(valueOf('{"d\\u0061ta":1}', "data"), "1", "an escaped key");
assert.equal(valueOf('{"other":{"data":1}}', "data"), undefined, "no such key");
assert.equal(valueOf("{}", "data"), undefined, "no key");

for (const [text, want] of [
  ["12345678901234567890", "12345678901234567890"],
  ['{"b":1.0,"a":[1,{"a":"x, y"}],"a":[]}', '{\n  "b": 1.0,\n  "a": [\n    1,\n    {\n      "a": "x, y"\n    }\n  ],\n  "a": []\n}'],
  ["{}", "{}"],
  ["[[]]", "[\n  []\n]"],
]) {
  assert.equal(indent(text), want);
}

// A message may be as large and as deep as the limit allows.
const deep = "[".repeat(60_000) + "]".repeat(60_000);
assert.equal(valueOf(`{"data":${deep}}`, "data"), deep);
assert.ok(indent(deep).length < 120_000 * 102);
assert.equal(indent(deep).replaceAll(/\s/g, ""), deep);
const long = JSON.stringify("\\\"\u2028".repeat(20_000));
assert.equal(valueOf(`{"data":${long}}`, "data"), long);
assert.equal(indent(long), long);
