// Sends the form of an action without leaving the page. Without JavaScript the form
// works too, and the response is a page.

import { post } from './request.js';

const $ = (id) => document.getElementById(id);
const form = $('action');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (form.ariaBusy === 'true') return;
  form.ariaBusy = 'true';
  show({});
  try {
    show(await post(form.dataset.call, new URLSearchParams(new FormData(form))));
  } catch (error) {
    $('failure').textContent = `Not sent: ${error.message}.`;
    $('failure').hidden = false;
  } finally {
    form.ariaBusy = 'false';
  }
});

// show renders an outcome as the server does.
function show({ problems = {}, request = '', curl = '', status = '', answer = '', summary = '', done }) {
  for (const control of form.querySelectorAll('input, textarea')) {
    const problem = problems[control.name] ?? '';
    const line = $(`${control.id}-error`);
    if (!line) continue;
    line.textContent = problem;
    line.hidden = problem === '';
    if (problem) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  }
  form.querySelector('[aria-invalid]')?.focus();
  $('failure').hidden = true;
  $('outcome').hidden = status === '';
  $('status').textContent = status;
  $('summary').textContent = summary;
  $('summary').className = done ? 'good' : 'bad';
  $('answer').textContent = answer;
  $('request').textContent = request;
  $('curl').textContent = curl;
  if (status) $('answer-title').scrollIntoView({ block: 'nearest' }); // on a phone it is below the form
}
