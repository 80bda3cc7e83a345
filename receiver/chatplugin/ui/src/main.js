import { Chat } from './chat.js';
import { readConfig } from './config.js';
import { HOST } from './host.js';

/** @type {Window & {parley?: any}} */
const page = window;
const script = document.currentScript;

if (script instanceof HTMLScriptElement) {
  const language = document.documentElement.lang || navigator.language;
  const config = readConfig({ ...page.parley, ...script.dataset }, script.src, language);
  const start = () => {
    // Some pages have the script twice, or run it again whenever their visitor goes on.
    if (document.querySelector(HOST)) return;
    page.parley = new Chat(config);
    dispatchEvent(new Event('parley:ready'));
  };
  if (document.body) start();
  else addEventListener('DOMContentLoaded', start, { once: true });
}
