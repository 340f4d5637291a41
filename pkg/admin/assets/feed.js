// The live feed: an ordinary client of the classic protocol in the channel that
// the project keeps for administrators. Whatever a message holds is shown as text.

import { Final, post } from './ask.js';
import { Centrifuge, Refused } from './centrifuge.js';

const MAX = 200; // messages that are kept
const STALE = 6; // seconds until everything knows of a new secret, and a little more

const $ = (id) => document.getElementById(id);
const filters = $('filters');
if (filters) start();

function start() {
  const kept = []; // the newest first
  let held = null; // what came while paused; null when not
  let heldBack = 0;
  let retried = false;
  let countdown = 0;

  const centrifuge = new Centrifuge({ credentials, to: {}, onMessage: receive, onState: show });

  // Messages.

  function passes({ category, channel }) {
    const box = filters.querySelector(`input[value="${CSS.escape(category)}"]`);
    // A category that is younger than this page has no box.
    return (!box || box.checked) && channel.includes($('channel').value);
  }

  function receive(push) {
    const message = { ...push, at: new Date() };
    if (!held) {
      add([message]);
      return;
    }
    if (passes(message)) heldBack++;
    held.push(message);
    if (held.length > MAX) held.shift();
    showPause();
  }

  // add takes messages in, the oldest first.
  function add(messages) {
    for (const message of messages) {
      const item = draw(message);
      kept.unshift({ message, item });
      $('messages').prepend(item);
    }
    apply();
    while (kept.length > MAX) {
      // What the filters hide goes first: a busy category must not push out what one is looking for.
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
    if (held) [held, heldBack] = [[], 0];
    $('messages').replaceChildren();
    $('why').textContent = 'Nothing has been sent since the list was cleared.';
    count();
    showPause();
  });
  $('pause').addEventListener('click', () => {
    const missed = held;
    [held, heldBack] = [missed ? null : [], 0];
    if (missed) add(missed);
    showPause();
  });

  function showPause() {
    $('pause').textContent = !held ? 'Pause' : heldBack > 0 ? `Resume (${heldBack} new)` : 'Resume';
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
    // A secret that was just made is not known everywhere at once.
    if (state === 'offline' && error?.message.startsWith('invalid token') && !retried) {
      retried = true;
      setTimeout(() => centrifuge.start(), STALE * 1000);
      [state, seconds] = ['waiting', STALE];
    }
    const element = $('state');
    const text = { connecting: 'Connecting…', online: 'Connected', offline: 'Disconnected' };
    const tell = () => { element.textContent = text[state] ?? `Reconnecting in ${seconds} s`; };
    element.dataset.state = state;
    tell();
    if (state === 'waiting') {
      countdown = setInterval(() => {
        seconds = Math.max(seconds - 1, 1);
        tell();
      }, 1000);
    }
    if (state === 'online') retried = false;
    const problem = state === 'offline' || state === 'online' ? error?.message : undefined;
    $('problem').hidden = !problem;
    $('connect').hidden = state === 'online';
    $('reason').textContent = problem ? `The feed is not complete: ${problem}.` : '';
    if (state === 'offline') $('reason').textContent = `The feed is not connected: ${problem ?? 'it was stopped'}.`;
  }

  $('connect').addEventListener('click', () => centrifuge.start());
  addEventListener('pagehide', () => centrifuge.stop());
  addEventListener('pageshow', (event) => event.persisted && centrifuge.start());
  centrifuge.start();
}

const messagesOf = (n) => (n === 1 ? '1 message' : `${n} messages`);

function draw({ at, category, channel, event_id: id, data }) {
  const time = element('time', '', at.toLocaleTimeString());
  time.dateTime = at.toISOString();
  const item = element('li', 'message');
  const head = element('p', 'about');
  head.append(time, element('span', 'badge on', category), element('span', 'channel mono', channel), element('span', 'id mono muted', id));
  item.append(head, element('pre', '', JSON.stringify(data, null, 2)));
  return item;
}

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
