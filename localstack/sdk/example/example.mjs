// A client of Centrifugo's protocol: node example.mjs URL TOKEN

import { Centrifuge } from "centrifuge";
import WebSocket from "ws"; // browsers, and Node from 22 on, have their own

const [url, token] = process.argv.slice(2);
const client = new Centrifuge(url, { token, websocket: WebSocket });
const subscription = client.newSubscription("log:lobby");
subscription.on("publication", ({ data, offset }) => console.log(offset, data));
subscription.subscribe();
client.connect();
