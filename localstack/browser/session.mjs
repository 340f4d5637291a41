// What the scripts that drive a browser share: starting it, opening tabs that report
// whatever the browser complains about, screenshots, and how a script ends.
//
// It knows nothing of the pages. Environment: CHROMIUM (default /usr/bin/chromium),
// SCREENSHOTS (a folder; default .build/screenshots).

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** How long anything may take, in milliseconds, before it counts as never. */
export const patience = 20_000;

/** Where screenshots go. */
export const screenshots = process.env.SCREENSHOTS || fileURLToPath(new URL("../../.build/screenshots", import.meta.url));

/** Reads an address from the environment, without a slash at its end. */
export const address = (name, otherwise) => (process.env[name] || otherwise).replace(/\/$/, "");

/** Says what is about to happen: the last one before a failure tells where it was. */
export function step(what) {
  console.log(`- ${what}`);
}

/**
 * Starts a browser, lets play(open) do its part and ends the browser. The process
 * exits with status 0 when play returned and no tab complained, otherwise with 1, the
 * reason and a screenshot of every tab.
 *
 * open(name, options, url) opens a tab in a context of its own, so that nothing is
 * shared but the server. options are those of Playwright's newContext; name says in
 * complaints whose they are. It resolves to a Tab.
 */
export async function run(play) {
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
    await play((name, options, url) => open(browser, wrong, name, options, url));
    if (wrong.length > 0) throw new Error("all went well, but the browser complained");
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
}

async function open(browser, wrong, name, options, url) {
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
  const tab = new Tab(name, await context.newPage(), wrong);
  if (url) await tab.page.goto(url);
  return tab;
}

/** A page of somebody, who has a name. */
class Tab {
  #expected = null;
  #heard = 0;

  constructor(name, page, wrong) {
    this.name = name;
    this.page = page;
    const complain = (what) => {
      if (this.#expected?.test(what)) this.#heard++;
      else wrong.push(`${name}: ${what}`);
    };
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(`console: ${message.text()}`));
    page.on("pageerror", (error) => complain(`uncaught: ${error.message}`));
    // A page that is left behind takes what it was still asking for with it.
    page.on("requestfailed", (request) => {
      const reason = request.failure()?.errorText;
      if (reason !== "net::ERR_ABORTED") complain(`${request.method()} ${request.url()}: ${reason}`);
    });
    page.on("response", (response) => response.status() >= 400 && complain(`${response.url()}: status ${response.status()}`));
  }

  /** The element with this data-testid. */
  by(id) {
    return this.page.getByTestId(id);
  }

  /** Takes a screenshot; all of the page, or what is in sight. */
  shot(file, options) {
    return this.page.screenshot({ path: `${screenshots}/${file}.png`, ...options });
  }

  /** Does what makes the browser complain like this, and waits for what comes of it; that it does not complain is an error. */
  async expecting(pattern, act) {
    [this.#expected, this.#heard] = [pattern, 0];
    try {
      await act();
      // What the browser said before it answers this has been heard.
      await this.page.evaluate(() => {});
    } finally {
      this.#expected = null;
    }
    if (this.#heard === 0) throw new Error(`${this.name}: the browser never complained about ${pattern}`);
  }
}
