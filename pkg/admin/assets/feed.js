// The live feed: a client of Centrifugo's protocol that its token subscribes to the feed of
// a project. It shows the data of messages as the text that was sent, never as HTML.

import { Final, post } from './request.js';
import { indent } from './json.js';

const { Centrifuge } = globalThis; // npm centrifuge, which the page loads before
const MAX = 200; // messages kept
const LINE = 100; // a message with more characters is folded
const SECRET_CACHE = 6_000; // how long servers cache a secret, and a second more, in ms
const IDLE = 8 * 60_000; // API Gateway closes a connection on which nothing was sent for ten minutes
const DISCONNECT_CALLED = 0, INVALID_TOKEN = 3500; // codes of disconnections

const $ = (id) => document.getElementById(id);
const filters = $('filters');
if (filters) start();

function start() {
  const kept = []; // newest first
  let held = null; // received while paused; null when not paused
  let heldVisible = 0; // held messages that pass the filters
  let retried = false;
  let failure; // of the last request for a token

  const centrifuge = new Centrifuge(filters.dataset.address, { getToken });
  // Each connection needs a new token, and so a session of the administrator.
  centrifuge.on('connecting', ({ code }) => {
    centrifuge.setToken('');
    show('connecting', code === 0 ? 'Connecting…' : 'Reconnecting…');
  });
  centrifuge.on('connected', () => {
    retried = false;
    show('online', 'Connected');
  });
  centrifuge.on('disconnected', disconnected);
  centrifuge.on('publication', ({ data }) => receive(data));
  // Any command keeps the connection open, also one that is refused.
  setInterval(() => centrifuge.state === 'connected' && centrifuge.presenceStats('none').catch(() => {}), IDLE);

  // Messages.

  function passes({ category, channel }) {
    const box = filters.querySelector(`input[value="${CSS.escape(category)}"]`);
    // A category that was created after this page was loaded has no box.
    return (!box || box.checked) && channel.includes($('channel').value);
  }

  function receive(entry) {
    const message = { ...entry, at: new Date() };
    if (!held) {
      add([message]);
      return;
    }
    if (passes(message)) heldVisible++;
    held.push(message);
    if (held.length > MAX) held.shift();
    showPause();
  }

  // add shows messages, oldest first.
  function add(messages) {
    for (const message of messages) {
      const item = draw(message);
      kept.unshift({ message, item });
      $('messages').prepend(item);
    }
    apply();
    while (kept.length > MAX) {
      // Hidden messages go first: a busy category must not remove the messages that the filters select.
      const hidden = kept.findLastIndex(({ item }) => item.hidden);
      const [{ item }] = kept.splice(hidden < 0 ? kept.length - 1 : hidden, 1);
      item.remove();
    }
    count();
  }

  function apply() {
    for (const { message, item } of kept) item.hidden = !passes(message);
    count();
  }

  function count() {
    const shown = kept.filter(({ item }) => !item.hidden).length;
    $('count').textContent = shown < kept.length ? `${shown} of ${kept.length} messages` : shown > 0 ? messagesOf(shown) : '';
    $('nothing').hidden = shown > 0;
    if (shown === 0 && kept.length > 0) $('why').textContent = 'No message matches the filters.';
  }

  filters.addEventListener('input', apply);
  filters.addEventListener('submit', (event) => event.preventDefault());
  $('clear').addEventListener('click', () => {
    kept.length = 0;
    if (held) [held, heldVisible] = [[], 0];
    $('messages').replaceChildren();
    $('why').textContent = 'No message was sent since the list was cleared.';
    count();
    showPause();
  });
  $('pause').addEventListener('click', () => {
    const missed = held;
    [held, heldVisible] = [missed ? null : [], 0];
    if (missed) add(missed);
    showPause();
  });

  function showPause() {
    $('pause').textContent = !held ? 'Pause' : heldVisible > 0 ? `Resume (${heldVisible} new)` : 'Resume';
  }

  // The connection.

  async function getToken() {
    try {
      failure = undefined;
      return (await post(filters.dataset.token)).token;
    } catch (error) {
      failure = error.message;
      throw error instanceof Final ? new Centrifuge.UnauthorizedError(failure) : error;
    }
  }

  // The SDK connects again by itself unless the service or getToken has refused it.
  function disconnected({ code, reason }) {
    // Servers may still have the old secret in their cache.
    if (code === INVALID_TOKEN && !retried) {
      retried = true;
      setTimeout(() => centrifuge.connect(), SECRET_CACHE);
      show('waiting', 'Reconnecting…');
      return;
    }
    show('offline', 'Disconnected', failure ?? (code === DISCONNECT_CALLED ? '' : reason));
  }

  function show(state, text, problem) {
    $('state').dataset.state = state;
    $('state').textContent = text;
    $('problem').hidden = !problem;
    $('reason').textContent = problem ? `The feed is disconnected: ${problem}.` : '';
  }

  $('connect').addEventListener('click', () => centrifuge.connect());
  addEventListener('pagehide', () => centrifuge.disconnect());
  addEventListener('pageshow', (event) => event.persisted && centrifuge.connect());
  centrifuge.connect();
}

const messagesOf = (n) => (n === 1 ? '1 message' : `${n} messages`);

function draw({ at, category, channel, id, text, cut }) {
  const time = element('time', '', `${at.toISOString().slice(11, 19)} UTC`);
  time.dateTime = at.toISOString();
  const item = element('li', 'message');
  const head = element('p', 'about');
  head.append(time, element('span', 'badge on', category || '(no name)'), element('span', 'channel mono', channel), element('span', 'id mono muted', id));
  item.append(head, body(cut ? `${text}…` : text));
  return item;
}

// body shows the text of data in one line. A long one unfolds.
function body(line) {
  if (line.length <= LINE) return element('pre', '', line);
  const details = element('details');
  const summary = element('summary');
  summary.append(element('code', '', line.slice(0, 3 * LINE)));
  // Most messages are never unfolded.
  details.addEventListener('toggle', () => details.open && details.append(element('pre', '', indent(line))), { once: true });
  details.append(summary);
  return details;
}

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
