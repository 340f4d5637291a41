// Refreshes the chart while somebody can see it. A page puts it into an element
// with data-fragment, the address of the chart; without a script that is a link.

const EVERY = 15_000;

for (const place of document.querySelectorAll('[data-fragment]')) {
  let address = new URL(place.dataset.fragment, location.href);
  let timer = 0;
  let asked = 0; // the last one asked for is shown, whichever comes last

  const load = async () => {
    clearTimeout(timer);
    const mine = ++asked;
    address.searchParams.set('part', '');
    let ended = false;
    try {
      const response = await fetch(address, { redirect: 'manual', signal: AbortSignal.timeout(10_000) });
      ended = response.type === 'opaqueredirect' || response.status === 401 || response.status === 404;
      if (response.ok && mine === asked) replace(place, await response.text());
    } catch {
      // The network is away: what is shown says of when it is, and the next time comes.
    }
    if (mine === asked && !ended) timer = setTimeout(() => document.visibilityState === 'visible' && load(), EVERY);
  };

  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && load());
  place.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-span]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    address = new URL(link.href);
    load();
  });
  if (place.querySelector('#chart')) timer = setTimeout(load, EVERY);
  else load();
}

// replace keeps what the visitor did: the open table, and where the keyboard is.
function replace(place, html) {
  const open = place.querySelector('details')?.open;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const fresh = new DOMParser().parseFromString(html, 'text/html').body;
  place.replaceChildren(...fresh.childNodes);
  if (open) place.querySelector('details').open = true;
  if (focused?.dataset.span) place.querySelector(`[data-span="${focused.dataset.span}"]`)?.focus();
  else if (focused) place.querySelector(focused.tagName)?.focus();
}
