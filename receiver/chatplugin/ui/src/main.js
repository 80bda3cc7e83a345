import { Chat } from './chat.js';
import { readConfig } from './config.js';

/** @type {Window & {parley?: any}} */
const page = window;
const script = document.currentScript;

if (script instanceof HTMLScriptElement && !(page.parley instanceof Chat)) {
  const language = document.documentElement.lang || navigator.language;
  const config = readConfig({ ...page.parley, ...script.dataset }, script.src, language);
  const start = () => {
    page.parley = new Chat(config);
    dispatchEvent(new Event('parley:ready'));
  };
  if (document.body) start();
  else addEventListener('DOMContentLoaded', start, { once: true });
}
