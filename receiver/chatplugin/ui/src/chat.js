import { Api } from './api.js';
import { Memory } from './memory.js';
import { Outbox } from './outbox.js';
import { Panel } from './panel.js';
import { Session } from './session.js';
import { Store } from './store.js';

/** One channel's chat on one page, with what host pages may do with it. */
export class Chat {
  #store;
  #memory;
  #outbox;
  #panel;

  /** @param {import('./config.js').Config} config */
  constructor(config) {
    const { channelId } = config;
    this.#store = new Store(storage('localStorage'), channelId);
    this.#store.prune(Date.now());
    this.#memory = new Memory(storage('sessionStorage'), channelId);
    this.#outbox = new Outbox(
      this.#store,
      new Session(new Api(config.api, channelId), this.#store),
      (deliver) => exclusively(`parley:${channelId}`, deliver),
      () => this.#show(),
    );
    this.#panel = new Panel(
      config,
      (message, text) => this.#post(message, text),
      (id) => this.#outbox.retry(id),
      this.#memory,
    );
    addEventListener('storage', (event) => this.#store.concerns(event) && this.#show());
    addEventListener('online', () => this.#outbox.deliver());
    addEventListener('offline', () => this.#show());
    document.addEventListener('visibilitychange', () => document.hidden || this.#resume());
    this.#show();
    this.#resume();
  }

  /** Open the chat. */
  open() {
    this.#panel.open();
  }

  /** Close the chat. */
  close() {
    this.#panel.close();
  }

  /**
   * Send a text as if the visitor had written it.
   * @param {string} text
   */
  send(text) {
    this.#post({ text: String(text) }, String(text));
  }

  /**
   * Send what a button of the page stands for.
   * @param {{title: string, payload: string}} button
   */
  postback({ title, payload }) {
    this.#post({ type: 'postback', text: String(title), postbackData: String(payload) }, String(title));
  }

  /** Forget the conversation in this browser; what was sent stays with whom it was sent to. */
  forget() {
    this.#store.clear();
    this.#show();
  }

  /** @param {object} message @param {string} text */
  #post(message, text) {
    const at = Math.max(Date.now(), (this.#store.messages.at(-1)?.at ?? 0) + 1);
    const body = JSON.stringify({ message, sent_at: new Date(at).toISOString() });
    this.#store.put({ id: newId(), at, text, body, state: 'queued' });
    this.#outbox.deliver();
  }

  /** Go on with what an earlier page, or a lost network, left. */
  #resume() {
    if (this.#store.messages.some(({ state }) => state === 'queued')) this.#outbox.deliver();
  }

  #show() {
    this.#panel.show(this.#store.messages, this.#outbox.isWaiting || !navigator.onLine);
  }
}

/**
 * @param {'localStorage' | 'sessionStorage'} name
 * @returns {Storage | null} null where the browser refuses it, as some do for privacy
 */
function storage(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {() => Promise<void>} act what only one tab does at a time
 */
async function exclusively(name, act) {
  // Browsers give locks to secure pages only.
  await (navigator.locks ? navigator.locks.request(name, act) : act());
}

/** @returns {string} 128 random bits; `crypto.randomUUID` is for secure pages only */
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
