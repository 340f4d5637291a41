// A counter and a chart that the backend pushes.

import { ask } from "./backend.js";
import { $, element, when } from "./element.js";

const [counter, chart] = [$("applause"), $("poll")];
let applause = 0;
let votes = {};

/** Gets the totals as they are now. Pushes that come meanwhile count as well. */
export async function refresh() {
  applause = 0;
  votes = {};
  show(await ask("live"));
}

/** Shows totals. They only grow, so that the larger is the newer, whatever order they arrive in. */
export function show(totals) {
  applause = Math.max(applause, Number(totals?.applause) || 0);
  for (const [option, total] of Object.entries(totals?.votes ?? {})) {
    votes[option] = Math.max(votes[option] ?? 0, Number(total) || 0);
  }
  counter.textContent = applause.toLocaleString();
  const most = Math.max(1, ...Object.values(votes));
  for (const [option, total] of Object.entries(votes)) {
    const bar = [...chart.children].find((item) => item.dataset.option === option) ?? addBar(option);
    bar.querySelector(".total").textContent = total.toLocaleString();
    bar.querySelector("rect").setAttribute("width", (100 * total) / most);
  }
}

// A bar is the button that makes it grow: "Sencha, 3 votes".
function addBar(option) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "bar-of");
  svg.setAttribute("viewBox", "0 0 100 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(svg.namespaceURI, "rect");
  rect.setAttribute("height", "1");
  svg.append(rect);
  const button = element("button", "option", element("span", "name", option), svg, element("span", "total", "0"),
    element("span", "unseen", "votes"));
  button.type = "button";
  button.setAttribute("aria-describedby", "poll-hint");
  when(button, "click", $("poll-problem"), async () => show(await ask("vote", { option })));
  const item = element("li", "", button);
  item.dataset.option = option;
  chart.append(item);
  return item;
}

when($("applaud"), "click", $("applause-problem"), async () => show(await ask("applaud", {})));
