/**
 * What one visitor's browser keeps of a channel: the session and the messages, in localStorage.
 *
 * Every message has a key of its own, so that two tabs never overwrite each other's.
 *
 * @typedef {object} Message
 * @property {string} id also the idempotency key
 * @property {number} at when it was written, milliseconds since 1970
 * @property {string} text what is shown
 * @property {string} body what is sent, the same at every try; empty where the receiver has told of it
 * @property {'queued' | 'sent' | 'failed' | 'received'} state `received`: an answer
 * @property {number} [status] the HTTP status that refused it
 * @property {string} [messageId] the receiver's id of what was sent
 * @property {string} [name] who has answered
 *
 * @typedef {{conversationId: string, resumeToken: string}} Session
 */

const MOST_KEPT = 200;
const KEPT_MILLISECONDS = 30 * 86_400_000;
/** After the prefix; a channel `shop` shares it with one that is called `shop:en`. */
const OWN = /^(session|marks|message:.*)$/;

export class Store {
  #prefix;
  #storage;
  /** What the browser did not let us store, for as long as the page lives. @type {Map<string, string | null>} */
  #unstored = new Map();

  /**
   * @param {Storage | null} storage null where the browser refuses it
   * @param {string} channelId
   */
  constructor(storage, channelId) {
    this.#storage = storage;
    this.#prefix = `parley:${channelId}:`;
  }

  /** @returns {Message[]} in the order in which they were written */
  get messages() {
    const start = `${this.#prefix}message:`;
    const found = this.#keys().filter((key) => key.startsWith(start));
    return found
      .map((key) => this.#read(key))
      .filter(isMessage)
      .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  }

  /** @returns {Session | null} */
  get session() {
    const session = this.#read(`${this.#prefix}session`);
    return typeof session?.resumeToken === 'string' ? session : null;
  }

  set session(session) {
    if (session) this.#write(`${this.#prefix}session`, session);
    else this.#remove(`${this.#prefix}session`);
  }

  /** @param {Message} message */
  put(message) {
    this.#write(`${this.#prefix}message:${message.id}`, message);
  }

  /**
   * Add what the receiver tells of, in its order, but for what is known.
   * @param {Message[]} told
   * @param {number} [now]
   * @returns {Message[]} what is new
   */
  receive(told, now = Date.now()) {
    const { messages, marks } = this;
    const ids = new Set(messages.flatMap(({ id, messageId }) => (messageId ? [id, messageId] : [id])));
    // A message whose answer is still on its way, or was lost.
    const own = new Set(messages.filter(({ body }) => body).map(({ at, text }) => `${at} ${text}`));
    // The receiver may keep for longer what was read here, and is forgotten.
    const isForgotten = (/** @type {Message} */ { at }) => at < now - KEPT_MILLISECONDS && at <= marks.read;
    const isNew = (/** @type {Message} */ each) =>
      !ids.has(each.id) && !own.has(`${each.at} ${each.text}`) && !isForgotten(each);
    const added = told.filter(isNew);
    let last = Math.max(0, ...messages.filter(({ state }) => state === 'received').map(({ at }) => at));
    for (const each of added) {
      // Of two answers the later one stands below, and is not read before it was there.
      if (each.state === 'received') last = each.at = Math.max(each.at, last + 1);
      this.put(each);
    }
    return added;
  }

  /** Up to which answer the visitor has read, and up to when what they wrote was read: milliseconds since 1970. */
  get marks() {
    const { read, seen } = this.#read(`${this.#prefix}marks`) ?? {};
    return { read: Number(read) || 0, seen: Number(seen) || 0 };
  }

  set marks(marks) {
    this.#write(`${this.#prefix}marks`, marks);
  }

  /**
   * Change a message that is still there.
   * @param {string} id
   * @param {Partial<Message>} change
   */
  update(id, change) {
    const message = this.#read(`${this.#prefix}message:${id}`);
    if (isMessage(message)) this.put({ ...message, ...change });
  }

  /**
   * Forget old messages; unsent ones stay.
   * @param {number} now
   */
  prune(now) {
    const sent = this.messages.filter(({ state }) => state === 'sent' || state === 'received').reverse();
    const old = sent.filter(({ at }, index) => index >= MOST_KEPT || at < now - KEPT_MILLISECONDS);
    for (const { id } of old) this.#remove(`${this.#prefix}message:${id}`);
  }

  /** Forget everything. */
  clear() {
    for (const key of this.#keys()) this.#remove(key);
  }

  /**
   * @param {StorageEvent} event of another tab
   * @returns {boolean} whether it changed something of this channel
   */
  concerns(event) {
    return event.key === null || this.#isOwn(event.key);
  }

  /** @param {string} key */
  #isOwn(key) {
    return key.startsWith(this.#prefix) && OWN.test(key.slice(this.#prefix.length));
  }

  #keys() {
    const stored = this.#storage ? Object.keys(this.#storage) : [];
    return [...new Set([...stored, ...this.#unstored.keys()])].filter((key) => this.#isOwn(key));
  }

  /** @param {string} key @returns {any} */
  #read(key) {
    const text = this.#unstored.has(key) ? this.#unstored.get(key) : this.#storage?.getItem(key);
    try {
      return JSON.parse(text ?? 'null');
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {object} value */
  #write(key, value) {
    const text = JSON.stringify(value);
    try {
      if (!this.#storage) throw new Error('no storage');
      this.#storage.setItem(key, text);
      this.#unstored.delete(key);
    } catch {
      this.#unstored.set(key, text);
    }
  }

  /** @param {string} key */
  #remove(key) {
    this.#storage?.removeItem(key);
    this.#unstored.delete(key);
  }
}

/** @param {any} value @returns {value is Message} */
function isMessage(value) {
  return typeof value?.id === 'string' && typeof value.body === 'string' && Number.isFinite(value.at);
}
