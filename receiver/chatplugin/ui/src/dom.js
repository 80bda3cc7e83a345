/**
 * Make an element. Text is always set as text, so that nothing a visitor or a host page writes is markup.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | boolean | undefined | ((event: any) => void)>} [settings] attributes,
 *   and listeners by their event's name after `on`
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, settings = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(settings)) {
    if (typeof value === 'function') made.addEventListener(key.slice(2), value);
    else if (typeof value === 'string') made.setAttribute(key, value);
    else if (value) made.setAttribute(key, '');
  }
  made.append(...children);
  return made;
}

const ICONS = {
  chat: 'M12 3c-5 0-9 3.4-9 7.6 0 2.4 1.3 4.6 3.4 6L5.6 21l4.3-2.3c.7.1 1.4.2 2.1.2 5 0 9-3.4 9-7.9S17 3 12 3z',
  close: 'M6 6l12 12M18 6L6 18',
  send: 'M12 20V5M5.5 11.5L12 5l6.5 6.5',
  emoji: 'M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM8.5 14.5c1.6 2.3 5.4 2.3 7 0M9 9.5v.5M15 9.5v.5',
  sending: 'M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16zM12 8v4l2.5 2',
  sent: 'M5 12.5l4.5 4.5L19 7.5',
  alert: 'M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16zM12 8v4.5M12 15.5v.3',
};

/**
 * @param {keyof typeof ICONS} name
 * @returns {SVGElement} drawn in the colour of the text around it, unknown to screen readers
 */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(path);
  return svg;
}
