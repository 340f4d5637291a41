// The live feed: a client of the classic protocol that receives the feed of a project.
// It shows the data of messages as the text that was sent, never as HTML.

import { Final, post } from './request.js';
import { Centrifuge, Refused } from './centrifuge.js';
import { indent, valueOf } from './json.js';

const MAX = 200; // messages kept
const LINE = 100; // a message with more characters is folded
const SECRET_CACHE = 6; // seconds that servers cache a secret, and one more

const $ = (id) => document.getElementById(id);
const filters = $('filters');
if (filters) start();

function start() {
  const kept = []; // newest first
  let held = null; // received while paused; null when not paused
  let heldVisible = 0; // held messages that pass the filters
  let retried = false;
  let countdown = 0;

  const centrifuge = new Centrifuge({ credentials, to: {}, onMessage: receive, onState: show });

  // Messages.

  function passes({ category, channel }) {
    const box = filters.querySelector(`input[value="${CSS.escape(category)}"]`);
    // A category that was created after this page was loaded has no box.
    return (!box || box.checked) && channel.includes($('channel').value);
  }

  function receive({ category, channel, event_id }, text) {
    const message = { category, channel, event_id, data: valueOf(text, 'data'), at: new Date() };
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

  async function credentials() {
    try {
      return await post(filters.dataset.token);
    } catch (error) {
      throw error instanceof Final ? new Refused(error.message) : error;
    }
  }

  function show(state, { seconds = 0, error }) {
    clearInterval(countdown);
    // Servers may still have the old secret in their cache.
    if (state === 'offline' && error?.message.startsWith('invalid token') && !retried) {
      retried = true;
      setTimeout(() => centrifuge.start(), SECRET_CACHE * 1000);
      [state, seconds] = ['waiting', SECRET_CACHE];
    }
    const element = $('state');
    const text = { connecting: 'Connecting…', online: 'Connected', offline: 'Disconnected' };
    const update = () => { element.textContent = text[state] ?? `Reconnecting in ${seconds} s`; };
    element.dataset.state = state;
    update();
    if (state === 'waiting') {
      countdown = setInterval(() => {
        seconds = Math.max(seconds - 1, 1);
        update();
      }, 1000);
    }
    if (state === 'online') retried = false;
    const problem = state === 'offline' || state === 'online' ? error?.message : undefined;
    $('problem').hidden = !problem;
    $('connect').hidden = state === 'online';
    $('reason').textContent = problem ? `The feed is incomplete: ${problem}.` : '';
    if (state === 'offline') $('reason').textContent = `The feed is disconnected: ${problem ?? 'it was stopped'}.`;
  }

  $('connect').addEventListener('click', () => centrifuge.start());
  addEventListener('pagehide', () => centrifuge.stop());
  addEventListener('pageshow', (event) => event.persisted && centrifuge.start());
  centrifuge.start();
}

const messagesOf = (n) => (n === 1 ? '1 message' : `${n} messages`);

function draw({ at, category, channel, event_id: id, data }) {
  const time = element('time', '', `${at.toISOString().slice(11, 19)} UTC`);
  time.dateTime = at.toISOString();
  const item = element('li', 'message');
  const head = element('p', 'about');
  head.append(time, element('span', 'badge on', category || '(no name)'), element('span', 'channel mono', channel), element('span', 'id mono muted', id));
  item.append(head, body(data));
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
