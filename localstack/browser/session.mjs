// The session of a script that drives a browser: it starts the browser, opens tabs
// that report the browser's errors, takes screenshots and sets the exit status.
//
// It knows nothing about the pages. Environment: CHROMIUM (default /usr/bin/chromium),
// SCREENSHOTS (a folder; default .build/screenshots).

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The timeout of every step, in milliseconds. */
export const patience = 20_000;

/** The folder of the screenshots. */
export const screenshots = process.env.SCREENSHOTS || fileURLToPath(new URL("../../.build/screenshots", import.meta.url));

/** Reads an address from the environment, without a trailing slash. */
export const address = (name, otherwise) => (process.env[name] || otherwise).replace(/\/$/, "");

/** Logs the next step, so that the output of a failure shows where it happened. */
export function step(what) {
  console.log(`- ${what}`);
}

/**
 * Starts a browser, calls play(open) and closes the browser. The process exits with
 * status 0 when play returned and no tab reported an error, otherwise with 1, the
 * reason and a screenshot of every tab.
 *
 * open(name, options, url) opens a tab in a context of its own, so that tabs share the
 * server only. options are those of Playwright's newContext; name identifies the tab in
 * errors. It resolves to a Tab.
 */
export async function run(play) {
  const { chromium } = await import("playwright-core").catch((error) => {
    console.error(`playwright-core is not installed: run make setup: ${error.message}`);
    process.exit(1);
  });
  await mkdir(screenshots, { recursive: true });
  // launch() makes a new profile each time and removes it afterwards. The sandbox needs privileges that containers and
  // root do not have; the pages are our own.
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  const errors = []; // reported by the browser
  let failure;
  try {
    await play((name, options, url) => open(browser, errors, name, options, url));
    if (errors.length > 0) throw new Error("every step passed, but the browser reported errors");
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
    new Set(errors).forEach((line) => console.error(`browser: ${line}`));
    process.exitCode = 1;
  }
}

async function open(browser, errors, name, options, url) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(patience);
  // Keeps the page's sockets, so that a test can close one, and reports violations of the Content-Security-Policy.
  await context.addInitScript(() => {
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
      constructor(...args) {
        super(...args);
        window.sockets.push(this);
      }
    };
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`);
    });
  });
  const tab = new Tab(name, await context.newPage(), errors);
  if (url) await tab.page.goto(url);
  return tab;
}

/** A page of a named user. */
class Tab {
  #expected = null;
  #reported = 0;

  constructor(name, page, errors) {
    this.name = name;
    this.page = page;
    const report = (what) => {
      if (this.#expected?.test(what)) this.#reported++;
      else errors.push(`${name}: ${what}`);
    };
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && report(`console: ${message.text()}`));
    page.on("pageerror", (error) => report(`uncaught: ${error.message}`));
    // A page that navigates away aborts its pending requests.
    page.on("requestfailed", (request) => {
      const reason = request.failure()?.errorText;
      if (reason !== "net::ERR_ABORTED") report(`${request.method()} ${request.url()}: ${reason}`);
    });
    page.on("response", (response) => response.status() >= 400 && report(`${response.url()}: status ${response.status()}`));
  }

  /** The element with this data-testid. */
  by(id) {
    return this.page.getByTestId(id);
  }

  /**
   * Waits until the page has its style sheets, scripts and fonts. An element can be visible before them: call it before
   * anything of the page is measured.
   */
  async settled() {
    await this.page.waitForLoadState("load");
    await this.page.evaluate(() => document.fonts.ready.then(() => {}));
  }

  /** The place and size of an element of the settled page. */
  async box(locator) {
    await this.settled();
    return locator.boundingBox();
  }

  /** Takes a screenshot of the settled page, with Playwright's options. */
  async shot(file, options) {
    await this.settled();
    await this.page.screenshot({ path: `${screenshots}/${file}.png`, ...options });
  }

  /** Calls act, which must make the browser report an error that matches the pattern. */
  async expecting(pattern, act) {
    [this.#expected, this.#reported] = [pattern, 0];
    try {
      await act();
      // The errors of act arrive before this answer.
      await this.page.evaluate(() => {});
    } finally {
      this.#expected = null;
    }
    if (this.#reported === 0) throw new Error(`${this.name}: the browser did not report ${pattern}`);
  }
}
