// Tests the page of the example application: several visitors, each in a browser
// context of its own, chat, applaud, vote and wave.
//
// run_test.go runs it. To run it against `make run`:
//
//     BASE_URL=http://127.0.0.1:8080 node localstack/browser/chat.mjs
//
// Environment: BASE_URL (default http://127.0.0.1:8080), API_KEY (default demo-key),
// and CHROMIUM and SCREENSHOTS, see session.mjs.
// The exit status is 0 on success, otherwise 1 with the reason.

import assert from "node:assert/strict";
import { address, patience, run, step } from "./session.mjs";

const base = address("BASE_URL", "http://127.0.0.1:8080");
const apiKey = process.env.API_KEY || "demo-key";
const maxPageBytes = 160 << 10; // of all files that the page loads, uncompressed; npm centrifuge has 100 KB of them

await run(test);

async function test(open) {
  const page = `${base}/demo/`;
  const ada = await open("Ada", { colorScheme: "light", viewport: { width: 1100, height: 760 } }, page);
  const grace = await open("Grace", { colorScheme: "dark", viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true }, page);

  step("a name of spaces is refused");
  await ada.by("name").fill("   ");
  await ada.by("join").click();
  assert.equal(await ada.by("status").getAttribute("data-state"), "offline");
  await ada.shot("join-light");
  await grace.shot("join-dark-phone");

  await join(ada);
  await seesPeople(ada, [ada]);
  await join(grace);

  step("both visitors see each other in the list: one was loaded, the other joined");
  await seesPeople(ada, [ada, grace]);
  await seesPeople(grace, [grace, ada]);

  await chat(ada, grace);
  await announcements(ada, grace);
  await applause(ada, grace);
  await poll(ada, grace);

  const eve = await open("Eve", { colorScheme: "light", viewport: { width: 800, height: 600 } }, page);
  await join(eve);
  await seesPeople(ada, [ada, eve, grace]);
  await waves(ada, grace, eve);
  await checkPage(ada);
  await checkPage(grace);

  await order(ada, grace);
  await markup(ada, await open("<b>Ĥ</b> 🌀'", {}, page));

  step("a visitor with two tabs is in the list once");
  const again = await open(ada.name, {}, page);
  await join(again);
  await seesPeople(again, [ada, eve, grace]);
  await seesPeople(grace, [grace, ada, eve]);
  await leave(again);

  step("a visitor that closes the page disappears from the lists of the others");
  await leave(eve);
  await seesPeople(ada, [ada, grace]);
  await seesPeople(grace, [grace, ada]);

  step("a lost connection is restored automatically, with all changes and messages since");
  await ada.expecting(/ERR_INTERNET_DISCONNECTED/, async () => {
    await ada.page.context().setOffline(true);
    await ada.page.evaluate(() => window.sockets.at(-1).close());
    await say(grace, "Where are you?");
    await say(grace, "We have lost you");
    await sees(grace, "We have lost you");
    await ada.page.waitForFunction(() => window.sockets.length > 1 && window.sockets.at(-1).readyState === WebSocket.CLOSED);
    await ada.page.context().setOffline(false);
    await online(ada);
  });
  await sees(ada, "We have lost you");
  const missed = (await ada.by("log").locator(".text").allInnerTexts()).filter((text) => /are you\?|lost you/.test(text));
  assert.deepEqual(missed, ["Where are you?", "We have lost you"]);
  await say(grace, "Are you back?");
  await sees(ada, "Are you back?");
  await say(ada, "I am");
  await sees(grace, "I am");
  await seesPeople(ada, [ada, grace]);
  await seesPeople(grace, [grace, ada]);

  step("a reloaded page keeps the name, and Leave deletes it");
  const total = number(await ada.by("applause").innerText());
  await grace.page.reload();
  await online(grace);
  await seesApplause(grace, total);
  await seesPeople(grace, [grace, ada]);
  await say(ada, "Still with us?");
  await sees(grace, "Still with us?");
  await say(grace, "Yes, and leaving now");
  await sees(ada, "Yes, and leaving now");
  await grace.by("leave").click();
  await grace.by("name").waitFor({ state: "visible" });
  await seesPeople(ada, [ada]);
  await grace.page.reload();
  assert.equal(await grace.by("status").getAttribute("data-state"), "offline");
}

async function chat(ada, grace) {
  step("both visitors see the messages of both");
  await say(ada, "Hello, is anybody there?");
  await sees(ada, "Hello, is anybody there?");
  await sees(grace, "Hello, is anybody there?");
  await say(grace, "Here I am! Have you seen the kettle?");
  await sees(grace, "Here I am! Have you seen the kettle?");
  await sees(ada, "Here I am! Have you seen the kettle?");
  await sees(ada, grace.name);
}

async function order(ada, grace) {
  step("ten messages in a row arrive in order");
  for (let i = 1; i <= 10; i++) await say(ada, `number ${i} of ten`);
  await sees(grace, "number 10 of ten");
  const numbers = (await grace.by("log").locator(".text").allInnerTexts()).filter((text) => text.startsWith("number"));
  assert.deepEqual(numbers, Array.from({ length: 10 }, (_, i) => `number ${i + 1} of ten`));
}

async function markup(ada, guest) {
  step("messages and names are shown as text, never as markup");
  await join(guest);
  await say(guest, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(guest, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(ada, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(ada, guest.name);
  await guest.by("people").getByRole("button", { name: `Wave at ${ada.name}` }).click();
  await seesToast(ada, `${guest.name} waves at you`);
  await ada.by("people").getByRole("button", { name: `Wave at ${guest.name}` }).click();
  await seesToast(guest, `${ada.name} waves at you`);
  assert.equal(await ada.by("log").locator("img, p b").count(), 0);
  assert.equal(await ada.by("people").locator("b").count() + await ada.by("toasts").locator("b").count(), 0);
  await leave(guest);
}

async function announcements(ada, grace) {
  step("an announcement of the backend reaches both");
  await grace.page.locator("summary").click();
  await grace.by("announce-text").fill("Tea is ready");
  await grace.by("announce").click();
  await sees(ada, "Tea is ready", ".news");
  await sees(grace, "Tea is ready", ".news");
  await grace.page.locator("summary").click();

  step("a message of the server API reaches both");
  await publish("news:announcements", { text: "Published with one POST" });
  await sees(ada, "Published with one POST", ".news");
  await sees(grace, "Published with one POST", ".news");
  await publish("room:lobby", { name: "The kettle", text: "I can talk here, too" });
  await sees(ada, "I can talk here, too");
}

async function applause(ada, grace) {
  step("applause by pointer and by keyboard is shown on both pages");
  const before = number(await ada.by("applause").innerText());
  await ada.by("applaud").click();
  await seesApplause(ada, before + 1);
  await seesApplause(grace, before + 1);
  await grace.by("applaud").tap();
  await seesApplause(grace, before + 2);
  await seesApplause(ada, before + 2);
  await ada.by("applaud").focus();
  for (let total = before + 3; total <= before + 12; total++) {
    await ada.page.keyboard.press("Enter");
    await seesApplause(grace, total);
    await seesApplause(ada, total);
  }
}

async function poll(ada, grace) {
  step("votes change the chart on both pages");
  const before = await votes(ada);
  assert.deepEqual(Object.keys(before), ["Assam", "Earl Grey", "Rooibos", "Sencha"]);
  await vote(ada, "Sencha").click();
  await seesVotes(grace, { ...before, Sencha: before.Sencha + 1 });
  await vote(grace, "Assam").tap();
  await seesVotes(ada, { ...before, Sencha: before.Sencha + 1, Assam: before.Assam + 1 });
  const after = await votes(ada);
  for (const option of ["Sencha", "Earl Grey", "Sencha", "Assam", "Sencha", "Rooibos", "Earl Grey", "Sencha"]) {
    await vote(ada, option).focus();
    await ada.page.keyboard.press("Space");
    after[option]++;
    await seesVotes(ada, after);
  }
  await seesVotes(grace, after);
  const most = Math.max(...Object.values(after));
  const widths = await grace.by("poll").locator("rect").evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("width"))));
  assert.deepEqual(widths.map(Math.round), Object.values(after).map((n) => Math.round((100 * n) / most)), "the lengths of the bars are proportional to the votes");
}

async function waves(ada, grace, eve) {
  step("a wave reaches its recipient only");
  await ada.by("people").getByRole("button", { name: `Wave at ${grace.name}` }).click();
  await seesToast(ada, `You waved at ${grace.name}`);
  await seesToast(grace, `${ada.name} waves at you`);
  await grace.page.evaluate(() => scrollTo(0, 0));
  await ada.shot("party-light");
  await grace.shot("party-dark-phone", { fullPage: true });
  await sees(grace, "Ada waved at you", ".note");

  step("a wave without the token of its sender is refused");
  const { token } = await post("token", { name: eve.name }, 200);
  await post("wave", { from: ada.name, token, to: grace.name }, 403);
  await post("wave", { from: ada.name, token: "0".repeat(64), to: grace.name }, 403);
  await post("wave", { from: eve.name, token, to: ada.name }, 200);
  await seesToast(ada, `${eve.name} waves at you`);

  step("a visitor cannot subscribe to the channel of another one");
  const reply = await eve.page.evaluate((user) => new Promise((resolve) => {
    const socket = window.sockets.at(-1);
    socket.addEventListener("message", ({ data }) => data.split("\n").map((line) => JSON.parse(line)).filter(({ id }) => id === 1_000_000).forEach(resolve));
    socket.send(JSON.stringify({ id: 1_000_000, subscribe: { channel: `user:${user}` } }));
  }), grace.name);
  assert.deepEqual(reply.error, { code: 103, message: "permission denied" });

  // A wave is answered after its delivery: it would be visible before the next message.
  await ada.by("people").getByRole("button", { name: `Wave at ${grace.name}` }).click();
  await grace.by("log").locator(".note", { hasText: "Ada waved at you" }).nth(1).waitFor();
  await say(ada, "That was all the waving");
  for (const visitor of [ada, grace, eve]) await sees(visitor, "That was all the waving");
  const waved = async (visitor) => (await visitor.by("log").locator(".note").allInnerTexts()).filter((text) => text.includes("waved"));
  assert.deepEqual(await waved(ada), ["Eve waved at you."]);
  assert.deepEqual(await waved(grace), ["Ada waved at you.", "Ada waved at you."]);
  assert.deepEqual(await waved(eve), []);
}

// Checks labels, ids, width and size of the page.
async function checkPage(visitor) {
  const { name, page } = visitor;
  step(`the page of ${name} labels every control, fits its window and is small`);
  await visitor.settled();
  const found = await page.evaluate(() => ({
    unlabelled: [...document.querySelectorAll("button, input, summary, [tabindex='0']")].filter((control) =>
      !control.labels?.length && !control.getAttribute("aria-label") && !control.getAttribute("aria-labelledby") && !control.textContent.trim(),
    ).map((control) => control.outerHTML),
    duplicateIds: [...document.querySelectorAll("[id]")].map(({ id }) => id).filter((id, i, ids) => ids.indexOf(id) !== i),
    overflow: document.documentElement.scrollWidth - innerWidth,
    size: performance.getEntriesByType("resource").reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0),
  }));
  assert.ok(found.size > 0 && found.size < maxPageBytes, `the page loads ${found.size} bytes, want at most ${maxPageBytes}`);
  assert.deepEqual({ ...found, size: 0 }, { unlabelled: [], duplicateIds: [], overflow: 0, size: 0 });
}

async function join(visitor) {
  step(`${visitor.name} joins`);
  await visitor.by("name").fill(visitor.name);
  await visitor.by("join").click();
  await online(visitor);
  await vote(visitor, "Sencha").waitFor(); // the totals are loaded
}

function leave(visitor) {
  return visitor.page.context().close();
}

async function online({ page, name }) {
  await page.locator('[data-testid="status"][data-state="online"]').waitFor().catch(async () => {
    const problems = await page.getByRole("alert").allInnerTexts();
    throw new Error(`${name} is not online: ${problems.filter(Boolean).join(" ") || "the page shows no reason"}`);
  });
}

async function say(visitor, text) {
  await visitor.by("message").fill(text);
  await visitor.by("send").click();
}

async function sees(visitor, text, within = ".entry") {
  await visitor.by("log").locator(within).filter({ hasText: text }).first().waitFor().catch(async () => {
    throw new Error(`${visitor.name} does not see ${JSON.stringify(text)}, but ${JSON.stringify(await visitor.by("log").innerText())}`);
  });
}

// Checks that the list has exactly these visitors, in this order, and their number.
async function seesPeople(visitor, others) {
  await until(visitor, "people", others.map(({ name }) => name), async () => {
    const names = await visitor.by("people").locator(".name").allInnerTexts();
    return await visitor.by("people-count").innerText() === String(names.length) ? names : [];
  });
  assert.equal(await visitor.by("people").locator("li", { hasText: visitor.name }).first().getByText("you", { exact: true }).count(), 1,
    `the entry of ${visitor.name} is marked`);
  assert.equal(await visitor.by("people").getByRole("button").count(), others.length - 1, "every other visitor has a Wave button");
}

function seesApplause(visitor, total) {
  return until(visitor, "applause", total, async () => number(await visitor.by("applause").innerText()));
}

function seesVotes(visitor, totals) {
  return until(visitor, "votes", totals, () => votes(visitor));
}

// Parses a number such as "1,234".
function number(text) {
  return Number(text.replace(/\D/g, ""));
}

function vote(visitor, option) {
  return visitor.by("poll").getByRole("button", { name: option });
}

async function votes(visitor) {
  const bars = await visitor.by("poll").getByRole("button").evaluateAll((buttons) => buttons.map((button) =>
    [button.querySelector(".name").textContent, button.querySelector(".total").textContent]));
  return Object.fromEntries(bars.map(([option, total]) => [option, number(total)]));
}

async function seesToast(visitor, text) {
  await visitor.by("toasts").getByText(text, { exact: true }).waitFor().catch(async () => {
    throw new Error(`${visitor.name} does not see the toast ${JSON.stringify(text)}, but ${JSON.stringify(await visitor.by("toasts").innerText())}`);
  });
}

// Repeats a query until it returns the expected value: pages change when a push arrives.
async function until(visitor, what, expected, query) {
  const end = Date.now() + patience;
  for (;;) {
    try {
      return assert.deepEqual(await query(), expected, `${visitor.name}: ${what}`);
    } catch (error) {
      if (Date.now() > end) throw error;
      await visitor.page.evaluate(() => new Promise(requestAnimationFrame)); // the next frame
    }
  }
}

async function publish(channel, data) {
  const response = await fetch(`${base}/api/publish`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-API-Key": apiKey },
    body: JSON.stringify({ channel, data }),
    signal: AbortSignal.timeout(patience),
  });
  const body = await response.text();
  assert.ok(response.ok && JSON.parse(body).result, `publish to ${channel}: status ${response.status} ${body}`);
}

// Sends a request to the backend without the page, and returns its response.
async function post(path, body, status) {
  const response = await fetch(`${base}/demo/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  });
  const text = await response.text();
  assert.equal(response.status, status, `${path}: ${text}`);
  return JSON.parse(text);
}
