// Lets npm centrifuge converse with the local stack in Node, with the sockets of ws.
//
// Environment: HTTP_URL, WEBSOCKET_URL and MANAGEMENT_URL of a stack with seed.json. It prints a
// line for each conversation. The exit status is 0 when all succeeded, otherwise 1.

import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import { converseAll } from "./conversations.mjs";

const { HTTP_URL: http, WEBSOCKET_URL: socket, MANAGEMENT_URL: management } = process.env;
const failures = await converseAll({ Centrifuge, WebSocket, http, socket, management }, (name, error) => {
  console.log(error ? `FAIL  ${name}: ${error.stack ?? error}` : `ok    ${name}`);
});
process.exit(failures > 0 ? 1 : 0);
