// Refreshes the chart while the page is visible. The chart is in an element whose
// data-fragment is its URL.

const INTERVAL = 15_000;

for (const place of document.querySelectorAll('[data-fragment]')) {
  let url = new URL(place.dataset.fragment, location.href);
  let timer = 0;
  let latest = 0; // the number of the latest request; earlier responses are ignored

  const load = async () => {
    clearTimeout(timer);
    const mine = ++latest;
    url.searchParams.set('part', '');
    let ended = false;
    try {
      const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(10_000) });
      ended = response.type === 'opaqueredirect' || response.status === 401 || response.status === 404;
      if (response.ok && mine === latest) replace(place, await response.text());
    } catch {
      // The network is down. The chart shows its time, and the next attempt comes.
    }
    if (mine === latest && !ended) timer = setTimeout(() => document.visibilityState === 'visible' && load(), INTERVAL);
  };

  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && load());
  place.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-span]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    url = new URL(link.href);
    load();
  });
  if (place.querySelector('#chart')) timer = setTimeout(load, INTERVAL);
  else load();
}

// replace keeps the table open and the focus where it is.
function replace(place, html) {
  const open = place.querySelector('details')?.open;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const fresh = new DOMParser().parseFromString(html, 'text/html').body;
  place.replaceChildren(...fresh.childNodes);
  if (open) place.querySelector('details').open = true;
  if (focused?.dataset.span) place.querySelector(`[data-span="${focused.dataset.span}"]`)?.focus();
  else if (focused) place.querySelector(focused.tagName)?.focus();
}
