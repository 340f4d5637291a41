// The admin pages: the first steps of a new administrator, and a check of every page.
//
// admin_test.go runs it. To run it alone, start `make run`, which prints the password:
//
//     ADMIN_PASSWORD=… START_URL=… CENT=path/of/cent APPLICATION_URL=… node localstack/browser/admin.mjs
//
// Environment: BASE_URL (default http://127.0.0.1:8080), ADMIN_URL (default BASE_URL/admin/),
// WEBSOCKET_URL (default ws://127.0.0.1:8080/dev), ADMIN_PASSWORD, START_URL (the first address that make run prints), CENT (the command-line tool),
// APPLICATION_URL (where testdata/tab.html and npm centrifuge as centrifuge.js are served), CHROMIUM and
// SCREENSHOTS as session.mjs says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { checkPage, measure } from "./check.mjs";
import { address, patience, run, step } from "./session.mjs";

const base = address("BASE_URL", "http://127.0.0.1:8080");
const admin = address("ADMIN_URL", `${base}/admin/`);
const socket = address("WEBSOCKET_URL", "ws://127.0.0.1:8080/dev");
const { ADMIN_PASSWORD: password, START_URL: start, APPLICATION_URL: application, CENT } = process.env;
assert.ok(password && start && application && CENT, "ADMIN_PASSWORD, START_URL, APPLICATION_URL and CENT are required");

const desktop = { colorScheme: "light", viewport: { width: 1280, height: 800 } };
const phone = { colorScheme: "dark", viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };

await run(async (open) => {
  await firstPage(open);
  const root = await open("the administrator", { ...desktop, permissions: ["clipboard-read", "clipboard-write"] });
  const project = await newcomer(root, open);
  await actions(root, project);
  await withoutScripts(open, project);
  await liveFeed(root, project);
  await usage(root, project);
  await history(root, project);
  await chart(root, project);
  await everyPage(root, open, project);
  await ending(root, project);
});

// ---- first steps ----

async function firstPage(open) {
  for (const [name, options] of [["light", desktop], ["dark", { ...desktop, colorScheme: "dark" }], ["dark-phone", phone]]) {
    step(`the first page, ${name}, signs in with one click`);
    const visitor = await open(`a visitor, ${name}`, options, start);
    await checkPage(visitor, "start");
    await visitor.shot(`start-${name}`, { fullPage: true });
    await visitor.page.getByRole("link", { name: "The service on one machine" }).click();
    await visitor.page.getByRole("heading", { name: "The service on one machine" }).waitFor();
    await checkPage(visitor, "document");
    await visitor.shot(`document-${name}`);
    await visitor.page.goBack();
    await visitor.page.getByRole("button", { name: "Sign in" }).click();
    await visitor.page.getByRole("heading", { name: "Projects" }).waitFor();
    await visitor.page.context().close();
  }
}

async function newcomer(root, open) {
  const { page } = root;

  step("a wrong password is refused, the correct one is accepted");
  await page.goto(admin);
  await root.expecting(/status 401|401 \(Unauthorized\)/, async () => {
    await signIn(root, "a guess");
    await page.getByRole("alert").filter({ hasText: "The password is wrong." }).waitFor();
  });
  await root.shot("admin-sign-in");
  await signIn(root, password);
  await page.getByRole("heading", { name: "Projects" }).waitFor();

  step("a project is created, and the page shows its keys");
  await page.getByRole("link", { name: "New project" }).click();
  await page.getByLabel("Name").fill("Newcomer's café");
  await page.getByRole("button", { name: "Create project" }).click();
  await page.getByRole("heading", { name: "Newcomer's café is ready" }).waitFor();
  await root.shot("admin-created", { fullPage: true });
  const [secret, apiKey] = [await root.by("secret").innerText(), await root.by("api-key").innerText()];
  await page.getByRole("button", { name: "Copy the API key" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), apiKey);

  step("the project has the category chat, which gets presence, and another category is created");
  await page.getByRole("link", { name: "Categories", exact: true }).first().click();
  await page.getByRole("link", { name: "chat", exact: true }).click();
  assert.ok(await page.getByLabel("Publish to admins").isChecked(), "the messages of the first category do not show in the feed");
  await page.getByLabel("Presence", { exact: true }).check();
  await page.getByRole("button", { name: "Save category" }).click();
  await page.getByText("The category is saved.").waitFor();
  await page.getByRole("link", { name: "New category" }).click();
  await page.getByLabel("Name", { exact: true }).fill("news");
  await page.getByRole("button", { name: "Create category" }).click();
  await page.getByText("The category is created.").waitFor();
  const id = new URL(page.url()).pathname.match(/\/projects\/([^/]+)/)[1];
  const project = { id, apiKey, path: `${admin}/projects/${id}` };

  step("the live feed connects");
  await page.getByRole("link", { name: "Live feed" }).click();
  await inState(root, "online");

  step("two tabs chat with tokens from cent");
  const credentials = { CENT_PROJECT: id, CENT_SECRET: secret };
  const ada = await visitor(open, "Ada", project, await cent(credentials, "token", "ada", "--jwt"));
  const grace = await visitor(open, "Grace", project, await cent(credentials, "token", "grace", "--jwt", "--permissions", '{"chat":["lobby"]}'));
  await Promise.all([inState(ada, "online"), inState(grace, "online")]);
  await say(ada, "Is anybody there?");
  for (const tab of [ada, grace]) await sees(tab, "Is anybody there?");
  await say(grace, "Here I am: <b>not markup</b>");
  for (const tab of [ada, grace]) await sees(tab, "Here I am: <b>not markup</b>");

  step("a message from cent appears in both tabs and in the feed");
  await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "chat:lobby", '{"text": "Published from a shell"}');
  for (const tab of [ada, grace]) await sees(tab, "Published from a shell");
  for (const text of ["Is anybody there?", "<b>not markup</b>", "Published from a shell"]) await inFeed(root, text);
  assert.match(await root.by("messages").locator("li").first().innerText(), /Published from a shell/, "the newest message is not first");
  assert.equal(await root.by("messages").locator("b").count(), 0, "HTML in a message must stay text");
  await root.shot("admin-feed");

  step("the feed reconnects after a lost connection");
  await page.evaluate(() => window.sockets.at(-1).close());
  await page.waitForFunction(() => window.sockets.length > 1);
  await inState(root, "online");
  await say(ada, "Still there?");
  await inFeed(root, "Still there?");

  step("the secret is regenerated, and the old token is refused");
  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByText("Regenerate the secret…").click();
  await page.getByLabel("Yes, replace the secret").check();
  await page.getByRole("button", { name: "Regenerate the secret" }).click();
  await page.getByText("This is the new secret.").waitFor();
  const renewed = await root.by("secret").innerText();
  assert.notEqual(renewed, secret);
  const feed = await page.context().newPage();
  await feed.goto(`${project.path}/feed`); // servers may still have the old secret in their cache
  await sees(grace, "Still there?"); // connected clients stay connected
  await refused(ada);
  await inState({ page: feed, name: "the new feed" }, "online");
  await feed.close();
  await grace.page.goto(addressOf(project, await cent({ ...credentials, CENT_SECRET: renewed }, "token", "grace", "--jwt")));
  await inState(grace, "online");
  await ada.page.context().close();
  return { ...project, secret: renewed, grace };
}

async function signIn({ page }, secret) {
  await page.getByLabel("Password").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
}

// cent runs the command-line tool without this machine's settings and resolves to its output.
async function cent(settings, ...args) {
  const { stdout } = await promisify(execFile)(CENT, args, { env: { PATH: process.env.PATH, ...settings }, timeout: patience });
  return stdout.trim();
}

function addressOf({ id }, token) {
  return `${application}?${new URLSearchParams({ url: `${socket}?project=${id}`, token, channel: "chat:lobby" })}`;
}

function visitor(open, name, project, token) {
  return open(name, desktop, addressOf(project, token));
}

async function say(tab, text) {
  await tab.by("message").fill(text);
  await tab.by("send").click();
}

async function sees(tab, text) {
  await tab.by("log").locator("li").filter({ hasText: text }).first().waitFor().catch(async () => {
    throw new Error(`${tab.name} never saw ${JSON.stringify(text)} but ${JSON.stringify(await tab.by("log").innerText())}`);
  });
}

async function inState({ page, name }, state) {
  await page.locator(`[data-testid="state"][data-state="${state}"]`).waitFor().catch(async () => {
    const { dataset, textContent } = await page.getByTestId("state").evaluate(({ dataset, textContent }) => ({ dataset: { ...dataset }, textContent }));
    throw new Error(`${name} is not ${state} but ${dataset.state}: ${textContent}`);
  });
}

async function inFeed(root, text) {
  await root.by("messages").locator("li:visible").filter({ hasText: text }).first().waitFor().catch(async () => {
    throw new Error(`the feed never had ${JSON.stringify(text)} but ${JSON.stringify(await root.by("messages").innerText())}`);
  });
}

// refused reloads a page until its token is refused: servers cache the old secret.
async function refused({ page, name }) {
  for (const deadline = Date.now() + patience; ;) {
    await page.reload();
    const state = page.locator('[data-testid="state"]:is([data-state="online"], [data-state="offline"])');
    await state.filter({ hasText: "invalid token" }).or(page.locator('[data-testid="state"][data-state="online"]')).waitFor();
    if (/invalid token/.test(await page.getByTestId("state").innerText())) return;
    if (Date.now() > deadline) throw new Error(`${name}'s old token is still valid`);
  }
}

// ---- functions of the pages ----

async function actions(root, { path, apiKey, grace }) {
  const { page } = root;
  step("publish shows the request, the response and a shell command");
  await page.goto(`${path}/actions`);
  await page.getByLabel("Channel").fill("chat:lobby");
  await page.getByLabel("Data").fill("{");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("Data is not JSON").waitFor();
  assert.equal(await page.getByLabel("Data").evaluate((control) => control === document.activeElement), true, "the invalid field has no focus");
  await page.getByLabel("Data").fill('{"text": "It\'s from the admin"}');
  await page.getByRole("button", { name: "Publish" }).click();
  await root.by("status").filter({ hasText: "200 OK" }).waitFor();
  assert.deepEqual(JSON.parse(await root.by("request").innerText()), { channel: "chat:lobby", data: { text: "It's from the admin" } });
  const { result } = JSON.parse(await root.by("answer").innerText());
  assert.equal(await root.by("summary").innerText(), `Published to ${result.delivered} connection${result.delivered === 1 ? "" : "s"}`);
  await besideTheForm(root);
  await sees(grace, "It's from the admin");
  await root.shot("admin-actions");
  await page.getByRole("button", { name: "Copy the command" }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await promisify(execFile)("sh", ["-c", command.replace("YOUR_KEY", apiKey).replace("from the admin", "from a shell")]);
  assert.ok(JSON.parse(stdout).result, `${command} printed ${stdout}`);
  await sees(grace, "It's from a shell");

  step("a refusal is in the heading, in another colour");
  const published = await root.by("summary").evaluate((heading) => getComputedStyle(heading).color);
  await page.getByLabel("Channel").fill("none:lobby");
  await page.getByRole("button", { name: "Publish" }).click();
  await root.by("summary").filter({ hasText: "Refused: category not found" }).waitFor();
  assert.notEqual(await root.by("summary").evaluate((heading) => getComputedStyle(heading).color), published);
  await root.shot("admin-actions-refused");

  step("each action has a form and a response");
  for (const [method, answer] of [["Presence", /"user": "grace"/], ["Presence counts", /"num_clients": 1/], ["Channels", /"chat:lobby"/], ["Info", /"nodes"/]]) {
    await page.getByRole("navigation", { name: "Actions" }).getByRole("link", { name: method, exact: true }).click();
    await page.getByRole("heading", { name: method, exact: true }).waitFor();
    if (method.startsWith("Presence")) await page.getByLabel("Channel").fill("chat:lobby");
    await page.getByRole("button", { name: method, exact: true }).click();
    await root.by("answer").filter({ hasText: answer }).waitFor();
  }
}

// besideTheForm checks that the heading of the answer and the button that sends are visible without scrolling.
async function besideTheForm(tab) {
  const { page } = tab;
  const { width, height } = page.viewportSize();
  const size = await page.evaluate(() => scrollY);
  assert.equal(size, 0, "the page has scrolled");
  for (const place of [page.getByTestId("summary"), page.locator("#send")]) {
    const box = await tab.box(place);
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height, `outside of ${width}×${height}: ${JSON.stringify(box)}`);
  }
}

async function withoutScripts(open, { path }) {
  step("actions and the chart work without JavaScript");
  const plain = await open("a browser without JavaScript", { ...desktop, javaScriptEnabled: false }, `${path}/actions`);
  await signIn(plain, password);
  await plain.page.getByLabel("Channel").fill("chat:lobby");
  await plain.page.getByLabel("Data").fill('"plain"');
  await plain.page.getByRole("button", { name: "Publish" }).click();
  await plain.by("status").filter({ hasText: "200 OK" }).waitFor();
  assert.deepEqual(JSON.parse(await plain.by("request").innerText()), { channel: "chat:lobby", data: "plain" });
  await plain.page.goto(path);
  await plain.page.getByRole("link", { name: "Last day" }).click();
  await plain.by("messages").waitFor();
  await plain.page.context().close();
}

async function liveFeed(root, { path, apiKey }) {
  const { page } = root;
  const publish = (channel, text) => cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", channel, JSON.stringify({ text }));
  step("the feed is filtered by channel and by category");
  await page.goto(`${path}/feed`);
  await inState(root, "online");
  await publish("chat:lobby", "in the lobby");
  await publish("chat:kitchen", "in the kitchen");
  await inFeed(root, "in the lobby");
  await inFeed(root, "in the kitchen");
  await page.getByLabel("Channel contains").fill("kit");
  await hiddenInFeed(root, "in the lobby");
  await inFeed(root, "in the kitchen");
  await page.getByLabel("chat", { exact: true }).uncheck();
  await page.getByText("No message matches the filters.").waitFor();
  await page.getByLabel("chat", { exact: true }).check();
  await page.getByLabel("Channel contains").fill("");
  await inFeed(root, "in the lobby");

  step("a paused feed counts messages and shows them later");
  await root.by("pause").click();
  await publish("chat:lobby", "held while paused");
  await root.by("pause").filter({ hasText: "Resume (1 new)" }).waitFor();
  await hiddenInFeed(root, "held while paused");
  await root.by("pause").click();
  await inFeed(root, "held while paused");
  await page.getByRole("button", { name: "Clear" }).click();
  assert.equal(await root.by("messages").locator("li").count(), 0);
  await page.getByText("No message was sent since the list was cleared.").waitFor();

  step("a long message is one line, which unfolds");
  await publish("chat:lobby", "long ".repeat(200));
  await inFeed(root, "long long");
  const long = root.by("messages").locator("li").first();
  const folded = (await root.box(long)).height;
  assert.ok(folded < 110, `a folded message is ${folded} pixels high`);
  await root.shot("admin-feed-folded");
  await long.locator("summary").click();
  await long.locator("pre").filter({ hasText: "long long" }).waitFor();
  assert.match(await long.locator("time").innerText(), /^\d\d:\d\d:\d\d UTC$/);

  step("the feed shows the text that was sent");
  const sent = '{"b":12345678901234567890.10,"10":1,"2":2,"b":"\\u0041"}';
  await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "chat:lobby", sent);
  await inFeed(root, sent);
  assert.equal(await root.by("messages").locator("li").first().locator("pre").textContent(), sent);
  const padded = `{"b":12345678901234567890,"b":"${"x".repeat(200)}"}`;
  await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "chat:lobby", padded);
  await inFeed(root, padded);
  await root.by("messages").locator("li").first().locator("summary").click();
  const unfolded = root.by("messages").locator("li").first().locator("pre");
  await unfolded.waitFor();
  assert.equal(await unfolded.textContent(), padded.replace("{", "{\n  ").replace(',"b":', ',\n  "b":').replaceAll('":', '": ').replace("}", "\n}"));

  step("the feed keeps two hundred messages");
  await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "broadcast", ...Array.from({ length: 210 }, (_, i) => `chat:room-${i}`), "--data", '{"text":"to all"}');
  await page.waitForFunction(() => document.querySelectorAll("#messages > li").length === 200);
  await publish("chat:lobby", "the last");
  await inFeed(root, "the last");
  assert.equal(await root.by("messages").locator("li").count(), 200);
}

async function hiddenInFeed(root, text) {
  await root.by("messages").locator("li:visible").filter({ hasText: text }).first().waitFor({ state: "hidden" });
}

async function usage(root, { path, grace }) {
  const { page } = root;
  step("a channel has a link to its presence");
  await page.goto(`${path}/channels`);
  await page.getByRole("row", { name: /chat:lobby/ }).getByRole("link", { name: "Presence of chat:lobby" }).click();
  assert.equal(await page.getByLabel("Channel").inputValue(), "chat:lobby");

  step("a user's connections are shown, unsubscribed and disconnected");
  await page.getByRole("link", { name: "Users" }).click();
  await checkPage(root, "connected users");
  await root.shot("admin-users-connected");
  await page.getByRole("row", { name: /grace/ }).getByRole("link", { name: "grace" }).click();
  await page.getByRole("listitem").filter({ hasText: "chat:lobby" }).waitFor();
  await root.shot("admin-users", { fullPage: true });
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await root.by("status").filter({ hasText: "200 OK" }).waitFor();
  await inState(grace, "unsubscribed");
  await page.goto(`${path}/users?user=grace`);
  assert.equal(await page.getByRole("button", { name: "Unsubscribe" }).count(), 0, "the user is still subscribed");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await root.by("status").filter({ hasText: "200 OK" }).waitFor();
  await inState(grace, "offline"); // for good
  await grace.page.reload();
  await inState(grace, "online");
}

async function history(root, { path, apiKey }) {
  const { page } = root;
  const publish = (data, ...flags) => cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "log:orders", data, ...flags);
  step("a category gets a history");
  await page.goto(`${path}/categories/new`);
  await page.getByLabel("Name", { exact: true }).fill("log");
  await page.getByLabel("History size").fill("100");
  await page.getByLabel("History time (ms)").fill("3600000");
  await page.getByRole("button", { name: "Create category" }).click();
  await page.getByText("The category is created.").waitFor();

  step("a channel without subscribers is opened by its name, and its page is empty");
  await page.getByRole("link", { name: "Channels", exact: true }).click();
  await page.getByLabel("Pattern").fill("log:orders");
  await page.getByRole("button", { name: "Count" }).click();
  await page.getByRole("link", { name: "Open log:orders" }).click();
  await page.getByText("No message was published in this channel").waitFor();
  await checkPage(root, "channel without messages");
  await root.shot("admin-channel-empty");

  step("the page of a channel shows its history");
  for (let i = 1; i <= 31; i++) await publish(`{"order":${i}}`);
  await publish(JSON.stringify({ text: "<b>bold</b> ".repeat(100) }));
  await publish('{"order":32,"status":"shipped"}', "--tag", "kind=order", "--tag", "area=north");
  await page.reload();
  assert.equal(await root.by("top").innerText(), "33");
  const rows = root.by("history").getByRole("row");
  assert.equal(await rows.count(), 31, "the heading and 30 messages");
  assert.match(await rows.nth(1).innerText(), /^33\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\s+application\s+\{"order":32,"status":"shipped"\}\s+area: north\s+kind: order$/);
  assert.equal(await root.by("history").locator("b").count(), 0, "HTML in a message must stay text");

  step("the action History shows data that the page cuts");
  await page.getByRole("link", { name: "Show all data of offset 32" }).click();
  await page.getByRole("button", { name: "History", exact: true }).click();
  await root.by("answer").filter({ hasText: "<b>bold</b> ".repeat(100).trim() }).waitFor();
  await page.goBack();

  step("older and newer messages have their pages");
  await page.getByRole("link", { name: "Older" }).click();
  await root.by("history").getByText('{"order":1}', { exact: true }).waitFor();
  assert.equal(await rows.count(), 4);
  await page.getByRole("link", { name: "Newer" }).click();
  await root.by("history").getByText('{"order":32,"status":"shipped"}').waitFor();

  step("the history of a channel is removed");
  await publish("1");
  await page.goto(`${path}/channels/show?channel=log:orders`);
  await page.getByText("Remove the messages of log:orders…").click();
  await root.shot("admin-channel-remove", { fullPage: true });
  await page.getByLabel("Yes, remove them").check();
  await page.getByRole("button", { name: "Remove the history" }).click();
  await page.getByText("The history is removed.").waitFor();
  await page.getByText("The messages up to offset 34 are too old, or were removed.").waitFor();
  await checkPage(root, "channel whose history is removed");
  await root.shot("admin-channel-removed");
  for (let i = 1; i <= 31; i++) await publish(`{"order":${i}}`);
  await publish(JSON.stringify({ text: "<b>bold</b> ".repeat(100) }));
  await publish('{"order":32,"status":"shipped"}', "--tag", "kind=order", "--tag", "area=north");
}

async function chart(root, { path, apiKey }) {
  const { page } = root;
  step("the chart shows the messages of the hour and of the day");
  let counted = 0;
  for (const deadline = Date.now() + patience; counted < 210;) {
    assert.ok(Date.now() < deadline, `only ${counted} messages were counted`);
    // A process writes the counts of a second with a later message.
    await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "chat:counted", "1");
    await page.goto(path);
    counted = Number((await root.by("messages").innerText()).replaceAll(",", ""));
  }
  assert.ok(await page.locator("svg rect").count() >= 2, "there are no bars");
  await page.getByText("Show as a table").click();
  await page.getByRole("link", { name: "Last day" }).click();
  await page.locator('[aria-current="true"][data-span="day"]').waitFor();
  assert.equal(await page.locator("#chart details").getAttribute("open"), "", "the table is closed");
  assert.ok(await page.getByRole("row").count() >= 2, "the table is empty");
  assert.equal(new URL(page.url()).pathname, new URL(path).pathname);
  await page.getByText("Show as a table").click();
  await root.shot("admin-overview", { fullPage: true });
}

// ---- every page ----

async function everyPage(root, open, project) {
  const paths = (at) => [
    ["projects", admin], ["new-project", `${admin}/new`], ["overview", at],
    ["feed", `${at}/feed`], ["actions-publish", `${at}/actions?method=publish`], ["actions-broadcast", `${at}/actions?method=broadcast`],
    ["channels", `${at}/channels`], ["channel", `${at}/channels/show?channel=log:orders`], ["users-connected", `${at}/users`], ["users", `${at}/users?user=grace`], ["categories", `${at}/categories`],
    ["category", `${at}/categories/edit?category=chat`], ["new-category", `${at}/categories/new`], ["keys", `${at}/keys`],
    ["settings", `${at}/settings`], ["delete-project", `${at}/settings/delete`], ["chart", `${at}/chart?span=day`],
  ];
  const pocket = await open("the administrator on a phone", phone, admin);
  await checkPage(pocket, "sign-in");
  await pocket.shot("admin-sign-in-phone");
  await signIn(pocket, password);
  await pocket.page.getByRole("heading", { name: "Projects" }).waitFor();
  for (const [tab, suffix] of [[root, ""], [pocket, "-phone"]]) {
    for (const [name, url] of paths(project.path)) {
      step(`${tab.name} opens ${name}`);
      await tab.page.goto(url);
      if (name === "overview") await tab.by("messages").waitFor();
      if (name === "feed") await inState(tab, "online");
      await checkPage(tab, name);
      await tab.shot(`admin-page-${name}${suffix}`, { fullPage: true });
    }
  }
  await pocket.page.context().close();

  step("a visit of every page transfers less than 100 KB, gzipped");
  const guest = await open("a guest", desktop);
  const measured = await measure(guest.page, async () => {
    await guest.page.goto(admin);
    await signIn(guest, password);
    await guest.page.getByRole("heading", { name: "Projects" }).waitFor();
    for (const [name, url] of paths(project.path)) {
      await guest.page.goto(url);
      if (name === "overview") await guest.by("messages").waitFor();
    }
  });
  console.log(`  ${(measured.total / 1000).toFixed(1)} KB: ${measured.files.map(({ path, bytes }) => `${path} ${bytes}`).join(", ")}`);
  assert.ok(measured.total < 100_000, `${measured.total} bytes`);
  await guest.page.context().close();
}

// ---- the end ----

async function ending(root, { path, grace }) {
  const { page } = root;
  step("an API key is created, shown once and revoked");
  await page.goto(`${path}/keys`);
  const before = await page.getByRole("row").count();
  await page.getByLabel("Name of a new key").fill("backend");
  await page.getByRole("button", { name: "Create an API key" }).click();
  const key = await root.by("api-key").innerText();
  await page.getByRole("link", { name: "Keys" }).click();
  assert.equal((await page.content()).includes(key), false, "the key is shown again");
  assert.equal(await page.getByRole("row").count(), before + 1);
  const last = page.getByRole("row").last();
  assert.match(await last.innerText(), /backend[^]*\d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  await root.shot("admin-keys", { fullPage: true });
  await last.getByText("Revoke").first().click();
  await last.getByLabel("Yes, revoke this key").check();
  await last.getByRole("button", { name: /^Revoke/ }).click();
  await page.getByText("The API key is revoked.").waitFor();
  assert.equal(await page.getByRole("row").count(), before);

  step("an empty feed offers to turn the option on");
  await page.goto(`${path}/categories/edit?category=chat`);
  await page.getByLabel("Publish to admins").uncheck();
  await page.getByRole("button", { name: "Save category" }).click();
  await page.getByText("The category is saved.").waitFor();
  await page.goto(`${path}/feed`);
  await checkPage(root, "empty feed");
  await root.shot("admin-feed-empty");
  await page.getByLabel("news", { exact: true }).uncheck();
  await page.getByRole("button", { name: "Turn on Publish to admins" }).click();
  await page.getByText("The categories publish to admins.").waitFor();
  await inState(root, "online");
  assert.equal(await page.getByLabel("news", { exact: true }).count(), 0);

  step("the project is deleted by typing its name");
  await grace.page.context().close();
  await page.goto(`${path}/settings`);
  await page.getByRole("link", { name: "Delete…" }).click();
  await page.getByLabel("Type the project's name to confirm").fill("Newcomer");
  await root.expecting(/status 400|400 \(Bad Request\)/, async () => {
    await page.getByRole("button", { name: "Delete the project" }).click();
    await page.getByText("That is not the name of the project.").waitFor();
  });
  await page.getByLabel("Type the project's name to confirm").fill("Newcomer's café");
  await page.getByRole("button", { name: "Delete the project" }).click();
  await page.getByText("The project is deleted.").waitFor();
  assert.equal(await page.getByRole("link", { name: "Newcomer's café" }).count(), 0);

  step("sign-out ends the session, and a feed at its next connection");
  const feed = await page.context().newPage();
  await feed.goto(`${admin}/projects/demo/feed`);
  await inState({ page: feed, name: "another feed" }, "online");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await feed.evaluate(() => window.sockets.at(-1).close());
  await feed.getByRole("alert").filter({ hasText: "please sign in again" }).waitFor();
  await feed.close();
  await page.goto(admin);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}
