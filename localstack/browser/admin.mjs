// The admin pages: the way of somebody who is new here, and a look at every page.
//
// Run by admin_test.go, or by hand beside `make run`, which prints the password:
//
//     ADMIN_PASSWORD=… CENT=path/of/cent APPLICATION_URL=… node localstack/browser/admin.mjs
//
// Environment: BASE_URL (default http://127.0.0.1:8080), ADMIN_URL (default BASE_URL/admin/),
// WEBSOCKET_URL (default ws://127.0.0.1:8080/dev), ADMIN_PASSWORD, CENT (the command-line tool),
// APPLICATION_URL (where testdata/tab.html is served beside centrifuge.js), CHROMIUM and
// SCREENSHOTS as session.mjs says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { checkPage, measure } from "./check.mjs";
import { address, patience, run, step } from "./session.mjs";

const base = address("BASE_URL", "http://127.0.0.1:8080");
const admin = address("ADMIN_URL", `${base}/admin/`);
const socket = address("WEBSOCKET_URL", "ws://127.0.0.1:8080/dev");
const { ADMIN_PASSWORD: password, APPLICATION_URL: application, CENT } = process.env;
assert.ok(password && application && CENT, "ADMIN_PASSWORD, APPLICATION_URL and CENT are needed");

const desktop = { colorScheme: "light", viewport: { width: 1200, height: 800 } };
const phone = { colorScheme: "dark", viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };

await run(async (open) => {
  const root = await open("the administrator", { ...desktop, permissions: ["clipboard-read", "clipboard-write"] });
  const project = await newcomer(root, open);
  await actions(root, project);
  await withoutScripts(open, project);
  await liveFeed(root, project);
  await usage(root, project);
  await chart(root, project);
  await everyPage(root, open, project);
  await ending(root, project);
});

// ---- the way of a newcomer ----

async function newcomer(root, open) {
  const { page } = root;

  step("a wrong password does not open the door, and the right one does");
  await page.goto(admin);
  await root.expecting(/status 401|401 \(Unauthorized\)/, async () => {
    await signIn(root, "a guess");
    await page.getByRole("alert").filter({ hasText: "not the password" }).waitFor();
  });
  await root.shot("admin-sign-in");
  await signIn(root, password);
  await page.getByRole("heading", { name: "Projects" }).waitFor();

  step("a project is created, and shows its keys");
  await page.getByRole("link", { name: "New project" }).click();
  await page.getByLabel("Name").fill("Newcomer's café");
  await page.getByRole("button", { name: "Create project" }).click();
  await page.getByRole("heading", { name: "Newcomer's café is ready" }).waitFor();
  await root.shot("admin-created", { fullPage: true });
  const [secret, apiKey] = [await root.by("secret").innerText(), await root.by("api-key").innerText()];
  await page.getByRole("button", { name: "Copy the API key" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), apiKey);

  step("a bidirectional category is created, whose messages admins see");
  await page.getByRole("link", { name: "Create a category" }).click();
  await page.getByLabel("Name", { exact: true }).fill("chat");
  await page.getByLabel("Bidirectional").check();
  await page.getByLabel("Publish to admins").check();
  await page.getByLabel("Presence", { exact: true }).check();
  await page.getByRole("button", { name: "Create category" }).click();
  await page.getByText("The category is created.").waitFor();
  const id = new URL(page.url()).pathname.match(/\/projects\/([^/]+)/)[1];
  const project = { id, apiKey, path: `${admin}/projects/${id}` };

  step("the live feed connects");
  await page.getByRole("link", { name: "Live feed" }).click();
  await inState(root, "online");

  step("two tabs chat with tokens that cent made");
  const credentials = { CENT_PROJECT: id, CENT_SECRET: secret };
  const ada = await visitor(open, "Ada", project, await cent(credentials, "token", "ada"));
  const grace = await visitor(open, "Grace", project, await cent(credentials, "token", "grace", "--jwt", "--permissions", '{"chat":["lobby"]}'));
  await Promise.all([inState(ada, "online"), inState(grace, "online")]);
  await say(ada, "Is anybody there?");
  for (const tab of [ada, grace]) await sees(tab, "Is anybody there?");
  await say(grace, "Here I am: <b>not markup</b>");
  for (const tab of [ada, grace]) await sees(tab, "Here I am: <b>not markup</b>");

  step("what cent publishes appears in both tabs and in the feed");
  await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "chat:lobby", '{"text": "Published from a shell"}');
  for (const tab of [ada, grace]) await sees(tab, "Published from a shell");
  for (const text of ["Is anybody there?", "<b>not markup</b>", "Published from a shell"]) await inFeed(root, text);
  assert.match(await root.by("messages").locator("li").first().innerText(), /Published from a shell/, "the newest is not on top");
  assert.equal(await root.by("messages").locator("b").count(), 0, "what is in a message must stay text");
  await root.shot("admin-feed");

  step("a connection that is lost comes back by itself");
  await page.evaluate(() => window.sockets.at(-1).close());
  await page.waitForFunction(() => window.sockets.length > 1);
  await inState(root, "online");
  await say(ada, "Still there?");
  await inFeed(root, "Still there?");

  step("the secret is made anew, and the old token is refused");
  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByText("Regenerate the secret…").click();
  await page.getByLabel("Yes, replace the secret").check();
  await page.getByRole("button", { name: "Regenerate the secret" }).click();
  await page.getByText("This is the new secret.").waitFor();
  const renewed = await root.by("secret").innerText();
  assert.notEqual(renewed, secret);
  const feed = await page.context().newPage();
  await feed.goto(`${project.path}/feed`); // its token is made with a secret that is not known everywhere yet
  await sees(grace, "Still there?"); // who is connected stays so
  await refused(ada);
  await inState({ page: feed, name: "a feed opened meanwhile" }, "online");
  await feed.close();
  await grace.page.goto(addressOf("grace", project, await cent({ ...credentials, CENT_SECRET: renewed }, "token", "grace")));
  await inState(grace, "online");
  await ada.page.context().close();
  return { ...project, secret: renewed, grace };
}

async function signIn({ page }, secret) {
  await page.getByLabel("Password").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
}

// cent runs the command-line tool, without whatever settings this machine has, and resolves to what it printed.
async function cent(settings, ...args) {
  const { stdout } = await promisify(execFile)(CENT, args, { env: { PATH: process.env.PATH, ...settings }, timeout: patience });
  return stdout.trim();
}

function addressOf(user, { id }, token) {
  return `${application}?${new URLSearchParams({ url: socket, project: id, user, token, category: "chat", channel: "lobby" })}`;
}

function visitor(open, name, project, token) {
  return open(name, desktop, addressOf(name.toLowerCase(), project, token));
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

// refused reloads a page until its token is refused, which takes as long as a secret is cached.
async function refused({ page, name }) {
  for (const deadline = Date.now() + patience; ;) {
    await page.reload();
    const state = page.locator('[data-testid="state"]:is([data-state="online"], [data-state="offline"])');
    await state.filter({ hasText: "invalid token" }).or(page.locator('[data-testid="state"][data-state="online"]')).waitFor();
    if (/invalid token/.test(await page.getByTestId("state").innerText())) return;
    if (Date.now() > deadline) throw new Error(`${name}'s old token is still good`);
  }
}

// ---- what the pages do ----

async function actions(root, { path, apiKey, grace }) {
  const { page } = root;
  step("publish shows the request, the answer and a command that does the same");
  await page.goto(`${path}/actions`);
  await page.getByLabel("Channel").fill("chat:lobby");
  await page.getByLabel("Data").fill("{");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("Data is not JSON").waitFor();
  assert.equal(await page.getByLabel("Data").evaluate((control) => control === document.activeElement), true, "the wrong field has no focus");
  await page.getByLabel("Data").fill('{"text": "It\'s from the admin"}');
  await page.getByRole("button", { name: "Publish" }).click();
  await root.by("status").filter({ hasText: "200 OK" }).waitFor();
  assert.deepEqual(JSON.parse(await root.by("request").innerText()), { channel: "chat:lobby", data: { text: "It's from the admin" } });
  assert.deepEqual(JSON.parse(await root.by("answer").innerText()), { result: {} });
  await sees(grace, "It's from the admin");
  await root.shot("admin-actions", { fullPage: true });
  await page.getByRole("button", { name: "Copy the command" }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await promisify(execFile)("sh", ["-c", command.replace("YOUR_KEY", apiKey).replace("from the admin", "from a shell")]);
  assert.deepEqual(JSON.parse(stdout), { result: {} }, command);
  await sees(grace, "It's from a shell");

  step("each action has a form, and its answer");
  for (const [method, answer] of [["Presence", /"user": "grace"/], ["Presence counts", /"num_clients": 1/], ["Channels", /"chat:lobby"/], ["Info", /"nodes"/]]) {
    await page.getByRole("navigation", { name: "Actions" }).getByRole("link", { name: method, exact: true }).click();
    await page.getByRole("heading", { name: method, exact: true }).waitFor();
    if (method.startsWith("Presence")) await page.getByLabel("Channel").fill("chat:lobby");
    await page.getByRole("button", { name: method, exact: true }).click();
    await root.by("answer").filter({ hasText: answer }).waitFor();
  }
}

async function withoutScripts(open, { path }) {
  step("without JavaScript actions and the chart work as well");
  const plain = await open("somebody without JavaScript", { ...desktop, javaScriptEnabled: false }, `${path}/actions`);
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

  step("while it pauses it counts, and then shows what came");
  await root.by("pause").click();
  await publish("chat:lobby", "unheard of");
  await root.by("pause").filter({ hasText: "Resume (1 new)" }).waitFor();
  await hiddenInFeed(root, "unheard of");
  await root.by("pause").click();
  await inFeed(root, "unheard of");
  await page.getByRole("button", { name: "Clear" }).click();
  assert.equal(await root.by("messages").locator("li").count(), 0);
  await page.getByText("Nothing has been sent since the list was cleared.").waitFor();

  step("of many messages it keeps two hundred");
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
  step("channels lead to who is in them");
  await page.goto(`${path}/channels`);
  await page.getByRole("row", { name: /chat:lobby/ }).getByRole("link", { name: "Presence of chat:lobby" }).click();
  assert.equal(await page.getByLabel("Channel").inputValue(), "chat:lobby");

  step("a user's connections are shown, taken out of a channel and ended");
  await page.getByRole("link", { name: "Users" }).click();
  await page.getByLabel("User").fill("grace");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("listitem").filter({ hasText: "chat:lobby" }).waitFor();
  await root.shot("admin-users", { fullPage: true });
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await root.by("status").filter({ hasText: "200 OK" }).waitFor();
  await page.goto(`${path}/users?user=grace`);
  assert.equal(await page.getByRole("button", { name: "Unsubscribe" }).count(), 0, "she is still in a channel");
  const before = await grace.page.evaluate(() => window.sockets.length);
  await page.getByRole("button", { name: "Disconnect" }).click();
  await root.by("status").filter({ hasText: "200 OK" }).waitFor();
  await grace.page.waitForFunction((n) => window.sockets.length > n, before); // her page connects again
  await inState(grace, "online");
}

async function chart(root, { path, apiKey }) {
  const { page } = root;
  step("the chart has counted what was sent, for the hour and for the day");
  let counted = 0;
  for (const deadline = Date.now() + patience; counted < 210;) {
    assert.ok(Date.now() < deadline, `only ${counted} messages were counted`);
    // What a process counts within a second it writes down with a later message.
    await cent({ CENT_ADDRESS: base, CENT_API_KEY: apiKey }, "publish", "chat:counted", "1");
    await page.goto(path);
    counted = Number((await root.by("messages").innerText()).replaceAll(",", ""));
  }
  assert.ok(await page.locator("svg rect").count() >= 2, "there are no bars");
  await page.getByText("As a table").click();
  await page.getByRole("link", { name: "Last day" }).click();
  await page.locator('[aria-current="true"][data-span="day"]').waitFor();
  assert.equal(await page.locator("#chart details").getAttribute("open"), "", "the table has closed");
  assert.ok(await page.getByRole("row").count() >= 2, "the table is empty");
  assert.equal(new URL(page.url()).pathname, new URL(path).pathname);
  await page.getByText("As a table").click();
  await root.shot("admin-overview", { fullPage: true });
}

// ---- every page ----

async function everyPage(root, open, project) {
  const paths = (at) => [
    ["projects", admin], ["new-project", `${admin}/new`], ["overview", at],
    ["feed", `${at}/feed`], ["actions-publish", `${at}/actions?method=publish`], ["actions-broadcast", `${at}/actions?method=broadcast`],
    ["channels", `${at}/channels`], ["users", `${at}/users?user=grace`], ["categories", `${at}/categories`],
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
      step(`${tab.name} looks at ${name}`);
      await tab.page.goto(url);
      if (name === "overview") await tab.by("messages").waitFor();
      if (name === "feed") await inState(tab, "online");
      await checkPage(tab, name);
      await tab.shot(`admin-page-${name}${suffix}`, { fullPage: true });
    }
  }
  await pocket.page.context().close();

  step("all that a visit of every page transfers is under 100 KB, gzipped");
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
  await page.getByRole("button", { name: "Create an API key" }).click();
  const key = await root.by("api-key").innerText();
  await page.getByRole("link", { name: "Keys" }).click();
  assert.equal((await page.content()).includes(key), false, "the key is shown again");
  assert.equal(await page.getByRole("row").count(), before + 1);
  const last = page.getByRole("row").last();
  await last.getByText("Revoke").first().click();
  await last.getByLabel("Yes, refuse this key from now on").check();
  await last.getByRole("button", { name: /^Revoke/ }).click();
  await page.getByText("The API key is revoked.").waitFor();
  assert.equal(await page.getByRole("row").count(), before);

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

  step("who signs out is out, and so is a feed once it has to connect again");
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
