// The smallest page that talks over Centrifuge. Its address says where, with which token and in which channel.

const { url, token, channel } = Object.fromEntries(new URLSearchParams(location.search));
const $ = (id) => document.getElementById(id);

const client = new Centrifuge(url, { token });
const subscription = client.newSubscription(channel);
const show = (state, text) => {
  $("state").dataset.state = state;
  $("state").textContent = text;
};
client.on("connecting", ({ reason }) => show("connecting", reason));
client.on("disconnected", ({ reason }) => show("offline", reason));
subscription.on("subscribed", () => show("online", "subscribed"));
subscription.on("unsubscribed", ({ reason }) => show("unsubscribed", reason));
subscription.on("publication", ({ data }) => {
  const item = document.createElement("li");
  item.textContent = data.text;
  $("log").append(item);
});
$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await subscription.publish({ text: $("message").value });
  $("message").value = "";
});
subscription.subscribe();
client.connect();
