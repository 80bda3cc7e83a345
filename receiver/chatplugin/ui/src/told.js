/**
 * @param {import('./api.js').ServerMessage} message as the receiver tells of it
 * @param {number} behind by how much this browser's clock is behind the receiver's, milliseconds
 * @returns {import('./store.js').Message} as this browser keeps it
 */
export function fromServer({ id, content, from_contact, sent_at, sender }, behind) {
  const at = Date.parse(sent_at);
  const known = { id: String(id), text: textOf(content), body: '' };
  // What the visitor wrote has the time of their own clock.
  if (from_contact) return { ...known, at: at || Date.now(), state: 'sent' };
  return { ...known, at: at ? at - behind : Date.now(), state: 'received', name: sender?.name };
}

/**
 * @param {any} content
 * @returns {string} empty where it holds nothing that can be shown
 */
function textOf(content) {
  const text = typeof content === 'object' ? content?.text : content;
  return typeof text === 'string' ? text : '';
}
