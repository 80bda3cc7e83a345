import { ApiError } from './api.js';

/**
 * The visitor's conversation with the receiver: opened with the first message, resumed later.
 *
 * Nothing is asked of the receiver, and nothing stored, before a visitor writes.
 */
export class Session {
  #api;
  #store;
  #othersKnow;
  /** @type {{token: string, conversationId: string} | null} */
  #open = null;
  /** How often it was forgotten here. */
  #forgotten = 0;

  /**
   * @param {import('./api.js').Api} api
   * @param {import('./store.js').Store} store
   * @param {() => Promise<void>} [othersKnow] waits until other tabs that may open a conversation see what is stored
   */
  constructor(api, store, othersKnow = () => Promise.resolve()) {
    this.#othersKnow = othersKnow;
    this.#api = api;
    this.#store = store;
  }

  /**
   * @param {import('./store.js').Message} message
   * @returns {Promise<string | undefined>} the id by which the receiver knows it
   * @throws {ApiError}
   */
  async send({ id, body }) {
    const known = this.#current;
    try {
      return (await this.#api.send(known ?? (await this.#begin()), id, body))?.id;
    } catch (error) {
      if (!known || !wasRefused(error)) throw error;
      return (await this.#api.send(await this.#begin(), id, body))?.id;
    }
  }

  /** Whether the receiver knows of the conversation, so that it can be told what the visitor does. */
  get isOpen() {
    return Boolean(this.#current);
  }

  /**
   * Tell what the visitor does besides writing.
   * @param {object} event
   * @throws {ApiError}
   */
  async tell(event) {
    const known = this.#current;
    try {
      // A page that has just come to the front has none yet.
      const token = known ?? (await this.resume())?.token;
      if (token) await this.#api.tell(token, event);
    } catch (error) {
      if (!known || !wasRefused(error)) throw error;
      const renewed = await this.resume();
      if (renewed) await this.#api.tell(renewed.token, event);
    }
  }

  /** Forget the conversation, also one that is about to be opened. */
  forget() {
    this.#open = null;
    this.#forgotten += 1;
    this.#store.session = null;
  }

  /**
   * Go on with the conversation that this browser knows, without opening another.
   * @returns {Promise<import('./api.js').Opened | null>} null where there is none, or it was too long ago
   * @throws {ApiError}
   */
  async resume() {
    const { session } = this.#store;
    if (!session) return null;
    try {
      const opened = await this.#api.authenticate(session.resumeToken);
      // It may have been forgotten meanwhile.
      if (this.#store.session?.conversationId !== opened.conversation_id) return null;
      this.#remember(opened);
      return opened;
    } catch (error) {
      if (wasRefused(error)) return null;
      throw error;
    }
  }

  /** The token of the conversation that is this browser's now. */
  get #current() {
    const isCurrent = this.#open && this.#store.session?.conversationId === this.#open.conversationId;
    return isCurrent ? this.#open?.token : undefined;
  }

  /** @returns {Promise<string>} a token to send with */
  async #begin() {
    const forgotten = this.#forgotten;
    const before = this.#store.session?.resumeToken;
    let opened = await this.#authenticate(before);
    if (this.#store.session?.resumeToken === before && forgotten === this.#forgotten) this.#remember(opened);
    await this.#othersKnow();
    const now = this.#store.session;
    if (now && now.conversationId !== opened.conversation_id) {
      // Another tab has opened one meanwhile, where browsers give no locks: it is the visitor's.
      opened = await this.#authenticate(now.resumeToken);
    }
    if (forgotten === this.#forgotten) this.#remember(opened);
    return opened.token;
  }

  /** @param {import('./api.js').Opened} opened */
  #remember(opened) {
    this.#open = { token: opened.token, conversationId: opened.conversation_id };
    this.#store.session = { conversationId: opened.conversation_id, resumeToken: opened.resume_token };
  }

  /** @param {string} [resumeToken] */
  async #authenticate(resumeToken) {
    try {
      return await this.#api.authenticate(resumeToken);
    } catch (error) {
      if (!resumeToken || !wasRefused(error)) throw error;
      // It was too long ago: a new conversation.
      return this.#api.authenticate();
    }
  }
}

/** @param {unknown} error */
function wasRefused(error) {
  return error instanceof ApiError && error.status === 401;
}
