// What every page must fulfil, whatever is on it: names for all controls, room on a
// narrow screen, a way through it by keyboard; and how heavy pages are.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";

/** How often Tab is pressed at most before a page counts as endless. */
const MAX_STOPS = 200;

/** Throws what is wrong with the page in a tab, which is called name. */
export async function checkPage({ page }, name) {
  const wrong = await page.evaluate(inspect);
  assert.deepEqual(wrong, [], `page ${name}`);
  await checkKeyboard(page, name);
}

// inspect runs in the page.
function inspect() {
  const wrong = [];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  const describe = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const textOf = (ids) => (ids ?? "").split(/\s+/).map((id) => document.getElementById(id)?.textContent.trim()).filter(Boolean).join(" ");
  const nameOf = (element) => textOf(element.getAttribute("aria-labelledby")) || element.getAttribute("aria-label")
    || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ")
    || (element.matches("a, button, summary") ? element.textContent.trim() || element.querySelector("img")?.alt : "");
  for (const element of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea, svg[role=img], nav, form[role=search]")) {
    if (!visible(element)) continue;
    if (element.matches("form")) continue;
    if (!nameOf(element) && !(element.matches("svg") && element.querySelector("title")?.textContent)) wrong.push(`no name: ${describe(element)}`);
  }
  for (const image of document.images) if (!image.hasAttribute("alt")) wrong.push(`no alt: ${describe(image)}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push(`id ${id} twice`);
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(/\s+/)) {
        if (id && !document.getElementById(id)) wrong.push(`${attribute} names ${id}, which is nowhere`);
      }
    }
  }
  if (document.querySelectorAll("h1").length !== 1) wrong.push(`${document.querySelectorAll("h1").length} first headings`);
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main part");
  if (!document.documentElement.lang || !document.title) wrong.push("no language or no title");
  if (document.querySelector("[style], script:not([src])")) wrong.push("inline style or script");
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    const wide = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > clientWidth + 1).map(describe);
    wrong.push(`${scrollWidth} pixels wide on a screen of ${clientWidth}: ${wide.slice(0, 3).join(" ")}`);
  }
  return wrong;
}

// checkKeyboard goes through the page with Tab: it reaches all that can be operated, and one sees where it is.
async function checkKeyboard(page, name) {
  await page.evaluate(() => {
    // Tab goes on from where the focus was last, so that is put to the beginning.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
    window.reached = new Set();
  });
  for (let i = 0; ; i++) {
    assert.ok(i < MAX_STOPS, `page ${name}: Tab never comes to an end`);
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body || window.reached.has(element)) return null;
      window.reached.add(element);
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        html: element.outerHTML.replace(/\s+/g, " ").slice(0, 120),
        seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1 && box.width > 0 && box.height > 0
          && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
      };
    });
    if (!stop) break;
    assert.ok(stop.seen, `page ${name}: one does not see that the keyboard is at ${stop.html}`);
  }
  const missed = await page.evaluate(() => [...document.querySelectorAll("a[href], button:enabled, summary, input:enabled:not([type=hidden]), select, textarea")]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !window.reached.has(element))
    .map((element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120)));
  assert.deepEqual(missed, [], `page ${name}: Tab does not reach`);
  await page.evaluate(() => {
    document.activeElement?.blur();
    scrollTo(0, 0);
  });
}

/** Sums up what act makes a page load: the gzipped bytes of every address once, with its query but for files. */
export async function measure(page, act) {
  const bodies = new Map();
  const waiting = [];
  page.on("response", (response) => {
    if (response.status() !== 200) return;
    const { pathname, search } = new URL(response.url());
    const path = pathname.includes("/assets/") ? pathname : pathname + search;
    waiting.push(response.body().then((body) => bodies.set(path, gzipSync(body).length), () => {}));
  });
  await act();
  await Promise.all(waiting);
  const files = [...bodies].map(([path, bytes]) => ({ path, bytes })).sort((a, b) => b.bytes - a.bytes);
  return { files, total: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}
