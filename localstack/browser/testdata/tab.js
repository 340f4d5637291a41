// The smallest page that talks over Centrifuge. Its address says where, as whom and in which channel.

import { Centrifuge } from "./centrifuge.js";

const { url, project, user, token, category, channel } = Object.fromEntries(new URLSearchParams(location.search));
const $ = (id) => document.getElementById(id);

const centrifuge = new Centrifuge({
  credentials: async () => ({ url, project, user, token }),
  to: { [category]: [channel] },
  onMessage: ({ data }) => {
    const item = document.createElement("li");
    item.textContent = data.text;
    $("log").append(item);
  },
  onState: (state, { error }) => {
    $("state").dataset.state = state;
    $("state").textContent = error?.message ?? state;
  },
});
$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await centrifuge.send("broadcast", { category, channel, data: { text: $("message").value } });
  $("message").value = "";
});
centrifuge.start();
