// The counter and the chart. The backend publishes their totals.

import { request } from "./backend.js";
import { $, element, on } from "./element.js";

const [counter, chart] = [$("applause"), $("poll")];
let applause = 0;
let votes = {};

/** Loads the current totals. Pushes that arrive during the request are kept. */
export async function refresh() {
  applause = 0;
  votes = {};
  show(await request("live"));
}

/** Shows totals. Totals only grow, so the larger value is the newer one, in any order of arrival. */
export function show(totals) {
  applause = Math.max(applause, Number(totals?.applause) || 0);
  for (const [option, total] of Object.entries(totals?.votes ?? {})) {
    votes[option] = Math.max(votes[option] ?? 0, Number(total) || 0);
  }
  counter.textContent = applause.toLocaleString();
  const largest = Math.max(1, ...Object.values(votes));
  for (const [option, total] of Object.entries(votes)) {
    const bar = [...chart.children].find((item) => item.dataset.option === option) ?? addBar(option);
    bar.querySelector(".total").textContent = total.toLocaleString();
    bar.querySelector("rect").setAttribute("width", (100 * total) / largest);
  }
}

// A bar is also the button to vote. Its name is, for example, "Sencha 3 votes".
function addBar(option) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "chart-bar");
  svg.setAttribute("viewBox", "0 0 100 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(svg.namespaceURI, "rect");
  rect.setAttribute("height", "1");
  svg.append(rect);
  const button = element("button", "option", element("span", "name", option), svg, element("span", "total", "0"),
    element("span", "visually-hidden", "votes"));
  button.type = "button";
  button.setAttribute("aria-describedby", "poll-hint");
  on(button, "click", $("poll-problem"), async () => show(await request("vote", { option })));
  const item = element("li", "", button);
  item.dataset.option = option;
  chart.append(item);
  return item;
}

on($("applaud"), "click", $("applause-problem"), async () => show(await request("applaud", {})));
