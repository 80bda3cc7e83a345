import { ApiError } from './api.js';

const FIRST_PAUSE_SECONDS = 1;
const LONGEST_PAUSE_SECONDS = 30;

/**
 * Delivers what was written, in order, each message once, for as long as it takes.
 *
 * All tabs of a visitor share what is stored; a lock lets one of them deliver at a time. Where the
 * browser has no locks, the idempotency key still makes one message of two deliveries.
 */
export class Outbox {
  #store;
  #session;
  #exclusively;
  #changed;
  #isDelivering = false;
  #isAskedAgain = false;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** Whether the last try did not get through, so that the next one waits. */
  isWaiting = false;

  /**
   * @param {import('./store.js').Store} store
   * @param {{send(message: import('./store.js').Message): Promise<string | undefined>}} session
   * @param {(deliver: () => Promise<void>) => Promise<void>} exclusively
   * @param {() => void} changed called whenever there is something new to show
   */
  constructor(store, session, exclusively, changed) {
    this.#store = store;
    this.#session = session;
    this.#exclusively = exclusively;
    this.#changed = changed;
  }

  /**
   * Try a refused message again.
   * @param {string} id
   */
  retry(id) {
    this.#store.update(id, { state: 'queued', status: undefined });
    return this.deliver();
  }

  /** Deliver what is queued, now. */
  async deliver() {
    clearTimeout(this.#timer);
    if (this.#isDelivering) {
      this.#isAskedAgain = true;
      return;
    }
    this.#isDelivering = true;
    do {
      this.#isAskedAgain = false;
      this.#changed();
      await this.#try();
    } while (this.#isAskedAgain && !this.isWaiting);
    this.#isDelivering = false;
    this.#changed();
  }

  async #try() {
    try {
      await this.#exclusively(() => this.#deliverAll());
      this.#failures = 0;
      this.isWaiting = false;
    } catch (error) {
      this.isWaiting = true;
      const asked = error instanceof ApiError ? error.retryAfter : 0;
      const pause = Math.min(FIRST_PAUSE_SECONDS * 2 ** this.#failures++, LONGEST_PAUSE_SECONDS);
      // Not all visitors at the same moment when a receiver comes back.
      const seconds = Math.max(asked, pause) * (1 + Math.random() / 2);
      this.#timer = setTimeout(() => this.deliver(), seconds * 1000);
    }
  }

  async #deliverAll() {
    for (;;) {
      const message = this.#store.messages.find(({ state }) => state === 'queued');
      if (!message) return;
      await this.#deliver(message);
      this.#changed();
    }
  }

  /** @param {import('./store.js').Message} message */
  async #deliver(message) {
    try {
      const messageId = await this.#session.send(message);
      this.#store.update(message.id, { state: 'sent', messageId });
    } catch (error) {
      if (!(error instanceof ApiError) || !error.final) throw error;
      this.#store.update(message.id, { state: 'failed', status: error.status });
    }
  }
}
