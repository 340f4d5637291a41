// Two people chat on the demo page, each in a browser tab of their own.
//
// Run by browser_test.go, or by hand beside `make run`:
//
//     BASE_URL=http://127.0.0.1:8080 node localstack/browser/chat.mjs
//
// Environment: BASE_URL (default http://127.0.0.1:8080), API_KEY (default demo-key),
// CHROMIUM (default /usr/bin/chromium), SCREENSHOTS (a folder; default .build/screenshots).
// Exits with status 0 when everything was seen, otherwise with 1 and the reason.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const base = (process.env.BASE_URL || "http://127.0.0.1:8080").replace(/\/$/, "");
const apiKey = process.env.API_KEY || "demo-key";
const screenshots = process.env.SCREENSHOTS || fileURLToPath(new URL("../../.build/screenshots", import.meta.url));
const patience = 20_000; // how long anything may take before it counts as never

const { chromium } = await import("playwright-core").catch((error) => {
  console.error(`playwright-core is needed (npm ci --prefix localstack): ${error.message}`);
  process.exit(1);
});

await mkdir(screenshots, { recursive: true });
// launch() makes a fresh profile each time and removes it afterwards. The sandbox needs privileges that containers and
// root do not have; what is opened here is our own page.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

const wrong = []; // whatever a browser complained about
let failure;
try {
  await conversation();
  if (wrong.length > 0) throw new Error("the conversation went well, but the browser complained");
  console.log(`ok: screenshots are in ${screenshots}`);
} catch (error) {
  failure = error;
  const pages = browser.contexts().flatMap((context) => context.pages());
  for (const [i, page] of pages.entries()) {
    await page.screenshot({ path: `${screenshots}/failed-${i + 1}.png` }).catch(() => {});
  }
} finally {
  await browser.close();
}
if (failure) {
  console.error(failure.stack);
  new Set(wrong).forEach((line) => console.error(`the browser: ${line}`));
  process.exitCode = 1;
}

async function conversation() {
  const ada = await visitor("Ada", { colorScheme: "light", viewport: { width: 1100, height: 720 } });
  const grace = await visitor("Grace Ĥ. <b>", { colorScheme: "dark", viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });

  step("the form refuses a name of spaces");
  await ada.by("name").fill("   ");
  await ada.by("join").click();
  assert.equal(await ada.by("status").getAttribute("data-state"), "offline");
  await ada.page.screenshot({ path: `${screenshots}/join-light.png` });
  await grace.page.screenshot({ path: `${screenshots}/join-dark-phone.png` });

  await join(ada);
  await join(grace);

  step("each sees what the other says, and what they say themselves");
  await say(ada, "Hello, is anybody there?");
  await sees(ada, "Hello, is anybody there?");
  await sees(grace, "Hello, is anybody there?");
  await say(grace, "Here I am: <img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(grace, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  await sees(ada, "<img src=x onerror=alert(1)> & 'quotes' 🌀");
  assert.equal(await ada.by("log").locator("img").count(), 0, "what visitors type must stay text");
  await sees(ada, grace.name);

  step("ten messages sent in a row arrive in their order");
  for (let i = 1; i <= 10; i++) await say(ada, `number ${i} of ten`);
  await sees(grace, "number 10 of ten");
  const numbers = (await grace.by("log").locator(".text").allInnerTexts()).filter((text) => text.startsWith("number"));
  assert.deepEqual(numbers, Array.from({ length: 10 }, (_, i) => `number ${i + 1} of ten`));

  step("an announcement made with the button reaches both");
  await grace.page.locator("summary").click();
  await grace.by("announce-text").fill("Tea is ready");
  await grace.by("announce").click();
  await sees(ada, "Tea is ready", ".news");
  await sees(grace, "Tea is ready", ".news");

  step("what an application publishes reaches both");
  await publish("news:announcements", { text: "Published with one POST" });
  await sees(ada, "Published with one POST", ".news");
  await sees(grace, "Published with one POST", ".news");
  await publish("chat:lobby", { name: "The server", text: "I can talk here, too" });
  await sees(ada, "I can talk here, too");
  await ada.page.screenshot({ path: `${screenshots}/chat-light.png` });
  await grace.page.screenshot({ path: `${screenshots}/chat-dark-phone.png` });

  step("a lost connection comes back by itself");
  await ada.page.evaluate(() => window.sockets.at(-1).close());
  await ada.page.waitForFunction(() => window.sockets.length === 2);
  await online(ada);
  await say(grace, "Are you back?");
  await sees(ada, "Are you back?");
  await say(ada, "I am");
  await sees(grace, "I am");

  step("a reloaded page remembers the name, and Leave forgets it");
  await grace.page.reload();
  await online(grace);
  await say(ada, "Still with us?");
  await sees(grace, "Still with us?");
  await say(grace, "Yes, and leaving now");
  await sees(ada, "Yes, and leaving now");
  await grace.by("leave").click();
  await grace.by("name").waitFor({ state: "visible" });
  await grace.page.reload();
  assert.equal(await grace.by("status").getAttribute("data-state"), "offline");
}

// A tab in a context of its own, so that nothing is shared but the server.
async function visitor(name, options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(patience);
  // Keeps the page's sockets, so that one can be closed, and makes refusals of the Content-Security-Policy heard.
  await context.addInitScript(() => {
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
      constructor(...args) {
        super(...args);
        window.sockets.push(this);
      }
    };
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.violatedDirective} refused ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  const complain = (what) => wrong.push(`${name}: ${what}`);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(`console: ${message.text()}`));
  page.on("pageerror", (error) => complain(`uncaught: ${error.message}`));
  page.on("requestfailed", (request) => complain(`${request.method()} ${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => response.status() >= 400 && complain(`${response.url()}: status ${response.status()}`));
  await page.goto(`${base}/demo/`);
  return { name, page, by: (id) => page.getByTestId(id) };
}

async function join(who) {
  step(`${who.name} joins`);
  await who.by("name").fill(who.name);
  await who.by("join").click();
  await online(who);
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

function step(what) {
  console.log(`- ${what}`);
}
