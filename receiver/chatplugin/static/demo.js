// The widget's settings come from the form, by way of the page's address.
const chosen = Object.fromEntries([...new URLSearchParams(location.search)].filter(([, value]) => value));

window.parley = {
  ...chosen,
  quickReplies: [
    { title: 'Where is my order?', payload: 'order_status' },
    { title: 'I want to return something', payload: 'return' },
  ],
};

addEventListener('DOMContentLoaded', () => {
  const form = document.querySelector('form');
  for (const [name, value] of Object.entries(chosen)) {
    if (form.elements[name]) form.elements[name].value = value;
  }

  const script = document.querySelector('script[data-channel-id]');
  const attributes = { 'channel-id': script.dataset.channelId, ...chosen };
  const written = Object.entries(attributes).map(([name, value]) => ` data-${name}="${value.replaceAll('"', '&quot;')}"`);
  document.getElementById('snippet').textContent = `<script async src="${script.src}"${written.join('')}></script>`;
});

// With the page and not with the widget, which may be ready before the buttons are there.
addEventListener('DOMContentLoaded', () => {
  const actions = {
    open: () => window.parley.open?.(),
    postback: () => window.parley.postback?.({ title: 'Call me back', payload: 'call_back' }),
    forget: () => window.parley.forget?.(),
  };
  for (const [id, act] of Object.entries(actions)) document.getElementById(id).addEventListener('click', act);
});
