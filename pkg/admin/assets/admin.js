// What every admin page gains from a script. Without it all of them still work.

// copyButton puts a button into a .code box that copies the text of the box.
export function copyButton(box) {
  const text = box.querySelector('pre, code');
  if (!text || box.querySelector(':scope > button') || !navigator.clipboard) return;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', `Copy ${box.dataset.copy || 'this text'}`);
  const status = document.createElement('span');
  status.className = 'visually-hidden';
  status.setAttribute('role', 'status');
  button.addEventListener('click', async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      done = false;
      getSelection().selectAllChildren(text);
    }
    button.textContent = done ? 'Copied' : 'Selected';
    status.textContent = done ? 'Copied to the clipboard' : 'The text is selected; copy it with the keyboard';
    setTimeout(() => { button.textContent = 'Copy'; status.textContent = ''; }, 2000);
  });
  box.append(button, status);
}

// filter hides the items that do not contain what is typed. The form that the box
// is in does the same on the server, for pages without a script.
function filter(input) {
  const list = document.getElementById(input.dataset.filter);
  if (!list || input.defaultValue) return; // what the server has filtered is not all that there is
  const none = document.getElementById(`${input.dataset.filter}-none`);
  const apply = () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const item of list.children) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
      if (!item.hidden) shown++;
    }
    if (none) none.hidden = shown > 0;
  };
  input.addEventListener('input', apply);
  input.form?.addEventListener('submit', (e) => { e.preventDefault(); apply(); });
  apply();
}

// enhance gives a part of a page what scripts add; call it for what is put in later.
export function enhance(root) {
  root.querySelectorAll('.code').forEach(copyButton);
  root.querySelectorAll('input[data-filter]').forEach(filter);
}

enhance(document);

// The first field that is wrong, or the first message, is where to go on.
document.querySelector('[aria-invalid="true"]')?.focus();
document.querySelector('.tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });

// A message about what was just done is not shown again when the page is reloaded.
const address = new URL(location.href);
if (address.searchParams.has('done')) {
  address.searchParams.delete('done');
  history.replaceState(null, '', address);
}
