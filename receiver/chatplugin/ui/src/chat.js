import { Api } from './api.js';
import { Attention } from './attention.js';
import { Listening } from './listening.js';
import { Memory } from './memory.js';
import { Outbox } from './outbox.js';
import { Panel } from './panel.js';
import { Session } from './session.js';
import { Store } from './store.js';
import { exclusively, inFront, othersKnow } from './tabs.js';
import { fromServer } from './told.js';

const TYPING_MILLISECONDS = 12_000;
const TOLD_TYPING_MILLISECONDS = 10_000;
/** So many answers are told at once to be read. */
const MOST_SEEN = 50;

/** One channel's chat on one page, with what host pages may do with it. */
export class Chat {
  #store;
  #session;
  #memory;
  #outbox;
  #listening;
  #attention;
  #panel;
  /** By how much this browser's clock is behind the receiver's, milliseconds. */
  #behind = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  #toldTyping = 0;

  /** @param {import('./config.js').Config} config */
  constructor(config) {
    const { channelId } = config;
    this.#store = new Store(storage('localStorage'), channelId);
    this.#store.prune(Date.now());
    this.#memory = new Memory(storage('sessionStorage'), channelId);
    this.#attention = new Attention(config.sound);
    const api = new Api(config.api, channelId);
    const session = new Session(api, this.#store, othersKnow);
    this.#session = session;
    this.#outbox = new Outbox(
      this.#store,
      session,
      (deliver) => exclusively(`parley:${channelId}`, deliver),
      () => this.#show(),
    );
    this.#listening = new Listening(
      session,
      api,
      this.#store,
      (id, act, signal) => inFront(`parley:${channelId}:listening:${id}`, act, signal),
      { opened: (opened) => this.#opened(opened), event: (event) => this.#heard(event) },
    );
    this.#panel = new Panel(
      config,
      (message, text) => this.#post(message, text),
      (id) => this.#outbox.retry(id),
      this.#memory,
      () => this.#show(),
      () => this.#typed(),
    );
    addEventListener('storage', (event) => this.#store.concerns(event) && this.#show());
    addEventListener('online', () => this.#resume());
    addEventListener('offline', () => {
      this.#listening.interrupt();
      this.#show();
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#listening.yieldStream();
      else this.#resume();
    });
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
    this.#session.forget();
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
    this.#listening.wake();
    if (this.#store.messages.some(({ state }) => state === 'queued')) this.#outbox.deliver();
    else this.#show();
  }

  /** @param {import('./api.js').Opened} opened the conversation so far */
  #opened({ messages, now, seen_at }) {
    // A receiver of an older version does not say.
    this.#behind = Date.parse(now) - Date.now() || 0;
    this.#receive(messages ?? []);
    if (seen_at) this.#seen(seen_at);
  }

  /** @param {import('./events.js').ServerEvent} event */
  #heard({ event, data }) {
    if (event === 'message') this.#receive([data]);
    else if (event === 'seen') this.#seen(data.sent_at);
    else if (event === 'typing') this.#setTyping(data.on);
  }

  /** @param {import('./api.js').ServerMessage[]} messages */
  #receive(messages) {
    const answers = this.#store
      .receive(messages.map((each) => fromServer(each, this.#behind)))
      .filter(({ state }) => state === 'received');
    if (answers.length) {
      this.#setTyping(false);
      this.#attention.ring();
    }
    this.#show();
  }

  /** @param {string} at when what the visitor wrote before was read */
  #seen(at) {
    const { marks } = this.#store;
    this.#store.marks = { ...marks, seen: Math.max(marks.seen, Date.parse(at) - this.#behind) };
    this.#show();
  }

  /** @param {boolean} isTyping */
  #setTyping(isTyping) {
    clearTimeout(this.#typing);
    this.#panel.showTyping(isTyping);
    // Whoever types says so again; whoever has left does not.
    if (isTyping) this.#typing = setTimeout(() => this.#panel.showTyping(false), TYPING_MILLISECONDS);
  }

  /** Tell that the visitor writes, now and then while they do. */
  #typed() {
    if (!this.#session.isOpen || Date.now() - this.#toldTyping < TOLD_TYPING_MILLISECONDS) return;
    this.#toldTyping = Date.now();
    this.#tell({ event: 'typing', on: true });
  }

  /** @param {object} event what may get lost, and nothing waits for */
  #tell(event) {
    this.#session.tell({ ...event, sent_at: new Date().toISOString() }).catch(() => {});
  }

  #show() {
    this.#listening.check();
    const { messages, marks } = this.#store;
    const answers = messages.filter(({ state, at }) => state === 'received' && at > marks.read);
    if (answers.length && this.#panel.isOpen && !document.hidden) {
      this.#store.marks = { ...marks, read: Number(answers.at(-1)?.at) };
      for (let first = 0; first < answers.length; first += MOST_SEEN) {
        this.#tell({ event: 'seen', message_ids: answers.slice(first, first + MOST_SEEN).map(({ id }) => id) });
      }
      answers.length = 0;
    }
    this.#attention.show(answers.length);
    this.#panel.show(messages, this.#outbox.isWaiting || !navigator.onLine, answers.length, marks.seen);
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

/** @returns {string} 128 random bits; `crypto.randomUUID` is for secure pages only */
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
