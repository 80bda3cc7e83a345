import { ApiError } from './api.js';

/**
 * The visitor's conversation with the receiver: opened with the first message, resumed later.
 *
 * Nothing is asked of the receiver, and nothing stored, before a visitor writes.
 */
export class Session {
  #api;
  #store;
  /** @type {{token: string, conversationId: string} | null} */
  #open = null;

  /**
   * @param {import('./api.js').Api} api
   * @param {import('./store.js').Store} store
   */
  constructor(api, store) {
    this.#api = api;
    this.#store = store;
  }

  /**
   * @param {import('./store.js').Message} message
   * @throws {ApiError}
   */
  async send({ id, body }) {
    const known = this.#open;
    const isCurrent = known && this.#store.session?.conversationId === known.conversationId;
    try {
      const token = isCurrent ? known.token : await this.#begin();
      await this.#api.send(token, id, body);
    } catch (error) {
      if (!isCurrent || !wasRefused(error)) throw error;
      await this.#api.send(await this.#begin(), id, body);
    }
  }

  /** @returns {Promise<string>} a token to send with */
  async #begin() {
    const opened = await this.#authenticate(this.#store.session?.resumeToken);
    this.#open = { token: opened.token, conversationId: opened.conversation_id };
    this.#store.session = { conversationId: opened.conversation_id, resumeToken: opened.resume_token };
    return opened.token;
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
