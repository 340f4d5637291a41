// A launch party on the demo page: people chat, applaud, vote and wave, each in a
// browser of their own.
//
// Run by browser_test.go, or by hand beside `make run`:
//
//     BASE_URL=http://127.0.0.1:8080 node localstack/browser/chat.mjs
//
// Environment: BASE_URL (default http://127.0.0.1:8080), API_KEY (default demo-key),
// CHROMIUM and SCREENSHOTS as session.mjs says.
// Exits with status 0 when everything was seen, otherwise with 1 and the reason.

import assert from "node:assert/strict";
import { address, patience, run, step } from "./session.mjs";

const base = address("BASE_URL", "http://127.0.0.1:8080");
const apiKey = process.env.API_KEY || "demo-key";
const heaviest = 60 << 10; // bytes of all that the page loads, not compressed

await run(party);

async function party(open) {
  const page = `${base}/demo/`;
  const ada = await open("Ada", { colorScheme: "light", viewport: { width: 1100, height: 760 } }, page);
  const grace = await open("Grace", { colorScheme: "dark", viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true }, page);

  step("the form refuses a name of spaces");
  await ada.by("name").fill("   ");
  await ada.by("join").click();
  assert.equal(await ada.by("status").getAttribute("data-state"), "offline");
  await ada.shot("join-light");
  await grace.shot("join-dark-phone");

  await join(ada);
  await meets(ada, [ada]);
  await join(grace);

  step("each sees the other in the list: one was there, one has come");
  await meets(ada, [ada, grace]);
  await meets(grace, [grace, ada]);

  await chat(ada, grace);
  await announcements(ada, grace);
  await applause(ada, grace);
  await poll(ada, grace);

  const eve = await open("Eve", { colorScheme: "light", viewport: { width: 800, height: 600 } }, page);
  await join(eve);
  await meets(ada, [ada, eve, grace]);
  await waves(ada, grace, eve);
  await well(ada);
  await well(grace);

  await order(ada, grace);
  await markup(ada, await open("<b>Ĥ</b> 🌀'", {}, page));

  step("somebody with two tabs is in the list once");
  const again = await open(ada.name, {}, page);
  await join(again);
  await meets(again, [ada, eve, grace]);
  await meets(grace, [grace, ada, eve]);
  await leave(again);

  step("who closes the page disappears from the others' lists");
  await leave(eve);
  await meets(ada, [ada, grace]);
  await meets(grace, [grace, ada]);

  step("a lost connection comes back by itself, with all that has changed meanwhile");
  await ada.page.evaluate(() => window.sockets.at(-1).close());
  await ada.page.waitForFunction(() => window.sockets.length === 2);
  await online(ada);
  await say(grace, "Are you back?");
  await sees(ada, "Are you back?");
  await say(ada, "I am");
  await sees(grace, "I am");
  await meets(ada, [ada, grace]);
  await meets(grace, [grace, ada]);

  step("a reloaded page remembers the name, and Leave forgets it");
  const clapped = number(await ada.by("applause").innerText());
  await grace.page.reload();
  await online(grace);
  await counts(grace, clapped);
  await meets(grace, [grace, ada]);
  await say(ada, "Still with us?");
  await sees(grace, "Still with us?");
  await say(grace, "Yes, and leaving now");
  await sees(ada, "Yes, and leaving now");
  await grace.by("leave").click();
  await grace.by("name").waitFor({ state: "visible" });
  await meets(ada, [ada]);
  await grace.page.reload();
  assert.equal(await grace.by("status").getAttribute("data-state"), "offline");
}

async function chat(ada, grace) {
  step("each sees what the other says, and what they say themselves");
  await say(ada, "Hello, is anybody there?");
  await sees(ada, "Hello, is anybody there?");
  await sees(grace, "Hello, is anybody there?");
  await say(grace, "Here I am! Have you seen the kettle?");
  await sees(grace, "Here I am! Have you seen the kettle?");
  await sees(ada, "Here I am! Have you seen the kettle?");
  await sees(ada, grace.name);
}

async function order(ada, grace) {
  step("ten messages sent in a row arrive in their order");
  for (let i = 1; i <= 10; i++) await say(ada, `number ${i} of ten`);
  await sees(grace, "number 10 of ten");
  const numbers = (await grace.by("log").locator(".text").allInnerTexts()).filter((text) => text.startsWith("number"));
  assert.deepEqual(numbers, Array.from({ length: 10 }, (_, i) => `number ${i + 1} of ten`));
}

async function markup(ada, guest) {
  step("what visitors type, and what they are called, stays text");
  await join(guest);
  await say(guest, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(guest, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(ada, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(ada, guest.name);
  await guest.by("people").getByRole("button", { name: `Wave at ${ada.name}` }).click();
  await toasted(ada, `${guest.name} waves at you`);
  await ada.by("people").getByRole("button", { name: `Wave at ${guest.name}` }).click();
  await toasted(guest, `${ada.name} waves at you`);
  assert.equal(await ada.by("log").locator("img, p b").count(), 0);
  assert.equal(await ada.by("people").locator("b").count() + await ada.by("toasts").locator("b").count(), 0);
  await leave(guest);
}

async function announcements(ada, grace) {
  step("an announcement made with the button reaches both");
  await grace.page.locator("summary").click();
  await grace.by("announce-text").fill("Tea is ready");
  await grace.by("announce").click();
  await sees(ada, "Tea is ready", ".news");
  await sees(grace, "Tea is ready", ".news");
  await grace.page.locator("summary").click();

  step("what an application publishes reaches both");
  await publish("news:announcements", { text: "Published with one POST" });
  await sees(ada, "Published with one POST", ".news");
  await sees(grace, "Published with one POST", ".news");
  await publish("room:lobby", { name: "The kettle", text: "I can talk here, too" });
  await sees(ada, "I can talk here, too");
}

async function applause(ada, grace) {
  step("applause is counted in both pages, with the pointer and with the keyboard");
  const before = number(await ada.by("applause").innerText());
  await ada.by("applaud").click();
  await counts(ada, before + 1);
  await counts(grace, before + 1);
  await grace.by("applaud").tap();
  await counts(grace, before + 2);
  await counts(ada, before + 2);
  await ada.by("applaud").focus();
  for (let total = before + 3; total <= before + 12; total++) {
    await ada.page.keyboard.press("Enter");
    await counts(grace, total);
    await counts(ada, total);
  }
}

async function poll(ada, grace) {
  step("votes change the chart in both pages");
  const before = await votes(ada);
  assert.deepEqual(Object.keys(before), ["Assam", "Earl Grey", "Rooibos", "Sencha"]);
  await vote(ada, "Sencha").click();
  await tallies(grace, { ...before, Sencha: before.Sencha + 1 });
  await vote(grace, "Assam").tap();
  await tallies(ada, { ...before, Sencha: before.Sencha + 1, Assam: before.Assam + 1 });
  const after = await votes(ada);
  for (const option of ["Sencha", "Earl Grey", "Sencha", "Assam", "Sencha", "Rooibos", "Earl Grey", "Sencha"]) {
    await vote(ada, option).focus();
    await ada.page.keyboard.press("Space");
    after[option]++;
    await tallies(ada, after);
  }
  await tallies(grace, after);
  const most = Math.max(...Object.values(after));
  const widths = await grace.by("poll").locator("rect").evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("width"))));
  assert.deepEqual(widths.map(Math.round), Object.values(after).map((n) => Math.round((100 * n) / most)), "the bars are as long as the votes are many");
}

async function waves(ada, grace, eve) {
  step("a wave reaches nobody but the one who was waved at");
  await ada.by("people").getByRole("button", { name: `Wave at ${grace.name}` }).click();
  await toasted(ada, `You waved at ${grace.name}`);
  await toasted(grace, `${ada.name} waves at you`);
  await grace.page.evaluate(() => scrollTo(0, 0));
  await ada.shot("party-light");
  await grace.shot("party-dark-phone", { fullPage: true });
  await sees(grace, "Ada waved at you", ".note");

  step("a forged wave is refused");
  const { token } = await post("token", { name: eve.name }, 200);
  await post("wave", { from: ada.name, token, to: grace.name }, 403);
  await post("wave", { from: ada.name, token: "0".repeat(64), to: grace.name }, 403);
  await post("wave", { from: eve.name, token, to: ada.name }, 200);
  await toasted(ada, `${eve.name} waves at you`);

  step("nobody may listen for another's waves");
  const reply = await eve.page.evaluate((user) => new Promise((resolve) => {
    const socket = window.sockets.at(-1);
    socket.addEventListener("message", ({ data }) => JSON.parse(data).id === "spy" && resolve(JSON.parse(data)));
    socket.send(JSON.stringify({ id: "spy", method: "subscribe", params: { to: { user: [user] } } }));
  }), grace.name);
  assert.deepEqual(reply.refused, { user: [grace.name] });

  // A wave is answered when it was delivered, so that one which nobody has seen when the next message comes went nowhere.
  await ada.by("people").getByRole("button", { name: `Wave at ${grace.name}` }).click();
  await grace.by("log").locator(".note", { hasText: "Ada waved at you" }).nth(1).waitFor();
  await say(ada, "That was all the waving");
  for (const who of [ada, grace, eve]) await sees(who, "That was all the waving");
  const waved = async (who) => (await who.by("log").locator(".note").allInnerTexts()).filter((text) => text.includes("waved"));
  assert.deepEqual(await waved(ada), ["Eve waved at you."]);
  assert.deepEqual(await waved(grace), ["Ada waved at you.", "Ada waved at you."]);
  assert.deepEqual(await waved(eve), []);
}

// What no visitor should have to notice.
async function well({ name, page }) {
  step(`${name}'s page names every control, fits its window and weighs little`);
  const found = await page.evaluate(() => ({
    nameless: [...document.querySelectorAll("button, input, summary, [tabindex='0']")].filter((control) =>
      !control.labels?.length && !control.getAttribute("aria-label") && !control.getAttribute("aria-labelledby") && !control.textContent.trim(),
    ).map((control) => control.outerHTML),
    twice: [...document.querySelectorAll("[id]")].map(({ id }) => id).filter((id, i, ids) => ids.indexOf(id) !== i),
    overflow: document.documentElement.scrollWidth - innerWidth,
    weight: performance.getEntriesByType("resource").reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0),
  }));
  assert.ok(found.weight > 0 && found.weight < heaviest, `${found.weight} bytes were loaded`);
  assert.deepEqual({ ...found, weight: 0 }, { nameless: [], twice: [], overflow: 0, weight: 0 });
}

async function join(who) {
  step(`${who.name} joins`);
  await who.by("name").fill(who.name);
  await who.by("join").click();
  await online(who);
  await vote(who, "Sencha").waitFor(); // and with it the totals
}

function leave(who) {
  return who.page.context().close();
}

async function online({ page, name }) {
  await page.locator('[data-testid="status"][data-state="online"]').waitFor().catch(async () => {
    const problems = await page.getByRole("alert").allInnerTexts();
    throw new Error(`${name} never came online: ${problems.filter(Boolean).join(" ") || "no reason is shown"}`);
  });
}

async function say(who, text) {
  await who.by("message").fill(text);
  await who.by("send").click();
}

async function sees(who, text, within = ".entry") {
  await who.by("log").locator(within).filter({ hasText: text }).first().waitFor().catch(async () => {
    throw new Error(`${who.name} never saw ${JSON.stringify(text)} but ${JSON.stringify(await who.by("log").innerText())}`);
  });
}

// The list holds exactly these, in this order, and says how many they are.
async function meets(who, others) {
  await until(who, "people", others.map(({ name }) => name), async () => {
    const names = await who.by("people").locator(".name").allInnerTexts();
    return await who.by("people-count").innerText() === String(names.length) ? names : [];
  });
  assert.equal(await who.by("people").locator("li", { hasText: who.name }).first().getByText("you", { exact: true }).count(), 1,
    `${who.name} is told which entry is their own`);
  assert.equal(await who.by("people").getByRole("button").count(), others.length - 1, "one may wave at all others");
}

function counts(who, total) {
  return until(who, "applause", total, async () => number(await who.by("applause").innerText()));
}

function tallies(who, totals) {
  return until(who, "votes", totals, () => votes(who));
}

// Reads "1,234".
function number(text) {
  return Number(text.replace(/\D/g, ""));
}

function vote(who, option) {
  return who.by("poll").getByRole("button", { name: option });
}

async function votes(who) {
  const bars = await who.by("poll").getByRole("button").evaluateAll((buttons) => buttons.map((button) =>
    [button.querySelector(".name").textContent, button.querySelector(".total").textContent]));
  return Object.fromEntries(bars.map(([option, total]) => [option, number(total)]));
}

async function toasted(who, text) {
  await who.by("toasts").getByText(text, { exact: true }).waitFor().catch(async () => {
    throw new Error(`${who.name} never saw the toast ${JSON.stringify(text)} but ${JSON.stringify(await who.by("toasts").innerText())}`);
  });
}

// Looks until it sees what is wanted: pages change when a push arrives.
async function until(who, what, wanted, look) {
  const end = Date.now() + patience;
  for (;;) {
    try {
      return assert.deepEqual(await look(), wanted, `${who.name}: ${what}`);
    } catch (error) {
      if (Date.now() > end) throw error;
      await who.page.evaluate(() => new Promise(requestAnimationFrame)); // what it shows next
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
  const answer = await response.text();
  assert.ok(response.ok && JSON.parse(answer).result, `publish to ${channel}: status ${response.status} ${answer}`);
}

// Asks the demo's backend as no page would, and returns its answer.
async function post(path, body, status) {
  const response = await fetch(`${base}/demo/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  });
  const answer = await response.text();
  assert.equal(response.status, status, `${path}: ${answer}`);
  return JSON.parse(answer);
}
