// The script of every admin page. The pages also work without it.

// copyButton adds a button to a .code box that copies its text.
function copyButton(box) {
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
    status.textContent = done ? 'Copied to the clipboard.' : 'The text is selected. Copy it with the keyboard.';
    setTimeout(() => { button.textContent = 'Copy'; status.textContent = ''; }, 2000);
  });
  box.append(button, status);
}

// filter hides the items that do not contain what is typed. Without JavaScript the form
// of the input filters on the server.
function filter(input) {
  const list = document.getElementById(input.dataset.filter);
  if (!list || input.defaultValue) return; // the server has filtered the list already
  const none = document.getElementById(`${input.dataset.filter}-none`);
  const apply = () => {
    const query = input.value.trim().toLowerCase();
    let shown = 0;
    for (const item of list.children) {
      item.hidden = !item.textContent.toLowerCase().includes(query);
      if (!item.hidden) shown++;
    }
    if (none) none.hidden = shown > 0;
  };
  input.addEventListener('input', apply);
  input.form?.addEventListener('submit', (e) => { e.preventDefault(); apply(); });
  apply();
}

document.querySelectorAll('.code').forEach(copyButton);
document.querySelectorAll('input[data-filter]').forEach(filter);

// The first invalid field gets the focus.
document.querySelector('[aria-invalid="true"]')?.focus();
document.querySelector('.tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });

// A reload does not show the message about the last action again.
const address = new URL(location.href);
if (address.searchParams.has('done')) {
  address.searchParams.delete('done');
  history.replaceState(null, '', address);
}
