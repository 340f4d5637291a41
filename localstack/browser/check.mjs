// Checks for every page: each control has a name, a narrow screen needs no horizontal
// scrolling, the keyboard reaches everything; and the size of pages.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";

/** How many times Tab is pressed before the check fails. */
const MAX_STOPS = 200;

/** Throws the violations of the page in a tab; name identifies the page. */
export async function checkPage(tab, name) {
  const { page } = tab;
  await tab.settled();
  const violations = await page.evaluate(inspect);
  assert.deepEqual(violations, [], `page ${name}`);
  await checkKeyboard(page, name);
}

// inspect runs in the page.
function inspect() {
  const violations = [];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  const describe = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const textOf = (ids) => (ids ?? "").split(/\s+/).map((id) => document.getElementById(id)?.textContent.trim()).filter(Boolean).join(" ");
  const nameOf = (element) => textOf(element.getAttribute("aria-labelledby")) || element.getAttribute("aria-label")
    || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ")
    || (element.matches("a, button, summary") ? element.textContent.trim() || element.querySelector("img")?.alt : "");
  for (const element of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea, svg[role=img], nav, form[role=search]")) {
    if (!visible(element)) continue;
    if (element.matches("form")) continue;
    if (!nameOf(element) && !(element.matches("svg") && element.querySelector("title")?.textContent)) violations.push(`no name: ${describe(element)}`);
  }
  for (const image of document.images) if (!image.hasAttribute("alt")) violations.push(`no alt: ${describe(image)}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) violations.push(`id ${id} on two elements`);
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(/\s+/)) {
        if (id && !document.getElementById(id)) violations.push(`${attribute} names ${id}, which no element has`);
      }
    }
  }
  if (document.querySelectorAll("h1").length !== 1) violations.push(`${document.querySelectorAll("h1").length} h1 elements`);
  if (document.querySelectorAll("main").length !== 1) violations.push(`${document.querySelectorAll("main").length} main elements`);
  if (!document.documentElement.lang || !document.title) violations.push("no language or no title");
  if (document.querySelector("[style], script:not([src])")) violations.push("inline style or script");
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    const wide = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > clientWidth + 1).map(describe);
    violations.push(`${scrollWidth} pixels wide on a screen of ${clientWidth}: ${wide.slice(0, 3).join(" ")}`);
  }
  return violations;
}

// checkKeyboard presses Tab through the page: it reaches every control, and the focus is visible.
async function checkKeyboard(page, name) {
  await page.evaluate(() => {
    // Tab continues from the last focus: start at the beginning.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
    window.reached = new Set();
    // The focus scrolls what it is in.
    window.places = [...document.querySelectorAll("*")].map((element) => [element, element.scrollLeft, element.scrollTop]);
  });
  for (let i = 0; ; i++) {
    assert.ok(i < MAX_STOPS, `page ${name}: Tab does not reach the end`);
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body || window.reached.has(element)) return null;
      window.reached.add(element);
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        html: element.outerHTML.replace(/\s+/g, " ").slice(0, 120),
        visible: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1 && box.width > 0 && box.height > 0
          && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
      };
    });
    if (!stop) break;
    assert.ok(stop.visible, `page ${name}: no visible focus on ${stop.html}`);
  }
  const missed = await page.evaluate(() => [...document.querySelectorAll("a[href], button:enabled, summary, input:enabled:not([type=hidden]), select, textarea")]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !window.reached.has(element))
    .map((element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120)));
  assert.deepEqual(missed, [], `page ${name}: Tab does not reach`);
  await page.evaluate(() => {
    document.activeElement?.blur();
    for (const [element, left, top] of window.places) Object.assign(element, { scrollLeft: left, scrollTop: top });
    scrollTo(0, 0);
  });
}

/** Measures what act makes a page load: the gzipped bytes of every address, once each; the query counts except for files. */
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
