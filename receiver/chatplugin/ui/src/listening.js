import { ApiError } from './api.js';
import { readEvents } from './events.js';

/** A proxy that keeps a stream to itself has not passed on even its first event by then. */
const READY_MILLISECONDS = 6_000;
/** The receiver says something every 15 seconds. */
const SILENCE_MILLISECONDS = 40_000;
const POLL_MILLISECONDS = 5_000;
const HIDDEN_POLL_MILLISECONDS = 60_000;
/** For so long a stream is not tried again where it did not work. */
const POLLING_MILLISECONDS = 300_000;
const FIRST_PAUSE_MILLISECONDS = 1_000;
const LONGEST_PAUSE_MILLISECONDS = 30_000;
/** A stream that ended sooner was cut off: the next one waits. */
const SHORT_MILLISECONDS = 5_000;
/** The chat keeps no answers, or not for this page. */
const FINAL = [403, 404];

/**
 * Hears what is new in the conversation: by a stream, or by asking now and then where none gets through.
 *
 * Of all tabs one listens, the one that the visitor looks at; what it hears is stored, so that all show it. Nothing
 * is asked before there is a conversation.
 */
export class Listening {
  #session;
  #api;
  #store;
  #alone;
  #told;
  /** @type {{conversationId: string, stop: AbortController} | null} */
  #running = null;
  #polls = 0;
  /** @type {string | undefined} */
  #ended;
  /** Ends a pause. */
  #wake = () => {};
  /** Ends a stream. */
  #interrupt = () => {};

  /**
   * @param {{resume(): Promise<import('./api.js').Opened | null>}} session
   * @param {Pick<import('./api.js').Api, 'poll' | 'stream'>} api
   * @param {{session: import('./store.js').Session | null}} store
   * @param {(name: string, act: (signal: AbortSignal) => Promise<void>, signal: AbortSignal) => Promise<void>} alone
   *   calls `act` in one tab at a time, and ends its signal when another takes over
   * @param {{opened(opened: import('./api.js').Opened): void, event(event: import('./events.js').ServerEvent): void}} told
   */
  constructor(session, api, store, alone, told) {
    this.#session = session;
    this.#api = api;
    this.#store = store;
    this.#alone = alone;
    this.#told = told;
  }

  /** Listen to the conversation that there is now; to none where there is none. */
  check() {
    const conversationId = this.#store.session?.conversationId;
    if (conversationId === this.#running?.conversationId) return;
    this.stop();
    if (!conversationId || conversationId === this.#ended) return;
    const running = { conversationId, stop: new AbortController() };
    this.#running = running;
    const listen = (/** @type {AbortSignal} */ signal) => this.#listen(conversationId, signal);
    this.#alone(conversationId, listen, running.stop.signal).finally(() => {
      if (this.#running === running) this.#running = null;
    });
  }

  /** Wait no longer for the next try. */
  wake() {
    this.#wake();
  }

  /** Give up a stream that is in the way of another tab's. */
  yieldStream() {
    if (!mayStream()) this.#interrupt();
  }

  /** Give up a stream whose network is lost; it is tried again. */
  interrupt() {
    this.#interrupt();
  }

  /** Listen no more, until asked to. */
  stop() {
    this.#running?.stop.abort();
    this.#running = null;
  }

  /** @param {string} conversationId @param {AbortSignal} signal */
  async #listen(conversationId, signal) {
    /** @type {import('./api.js').Opened | null} */
    let opened = null;
    let after = 0;
    let failures = 0;
    while (!signal.aborted) {
      const started = Date.now();
      let heard = false;
      try {
        if (!opened) {
          opened = await this.#session.resume();
          if (signal.aborted) return;
          if (opened?.conversation_id !== conversationId) {
            this.#ended = conversationId;
            return;
          }
          this.#told.opened(opened);
          after = opened.last_event_id ?? 0;
        }
        const hear = Date.now() < this.#polls || !mayStream() ? this.#poll : this.#stream;
        for await (const event of hear.call(this, opened.token, after, signal)) {
          if (signal.aborted) return;
          heard = true;
          after = event.id ?? after;
          this.#told.event(event);
        }
        failures = Date.now() - started < SHORT_MILLISECONDS && hear === this.#stream ? failures + 1 : 0;
        if (failures) await this.#pause(failures, 0, signal);
      } catch (error) {
        if (signal.aborted) return;
        const { status, retryAfter } = error instanceof ApiError ? error : new ApiError(0);
        if (FINAL.includes(status)) {
          this.#ended = conversationId;
          return;
        }
        // It worked until a proxy cut it off, as some do after half a minute.
        if (heard && Date.now() - started >= SHORT_MILLISECONDS) failures = 0;
        // The token's time is over, or was said to be, as often as it may be: then as any other trouble.
        if (status === 401) opened = null;
        if (status === 503 && opened) this.#polls = Date.now() + POLLING_MILLISECONDS;
        if (status !== 401 || failures) await this.#pause(failures + 1, status === 503 ? 0 : retryAfter, signal);
        failures += 1;
      }
    }
  }

  /** @param {string} token @param {number} after @param {AbortSignal} signal */
  async *#stream(token, after, signal) {
    const stop = new AbortController();
    const end = () => stop.abort();
    signal.addEventListener('abort', end);
    this.#interrupt = end;
    let isReady = false;
    const giveUp = () => {
      if (!isReady) this.#polls = Date.now() + POLLING_MILLISECONDS;
      end();
    };
    let timer = setTimeout(giveUp, READY_MILLISECONDS);
    const heard = () => {
      isReady = true;
      clearTimeout(timer);
      timer = setTimeout(giveUp, SILENCE_MILLISECONDS);
    };
    try {
      yield* readEvents(await this.#api.stream(token, after, stop.signal), heard);
    } catch (error) {
      throw error instanceof ApiError ? error : new ApiError(0);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      end();
    }
  }

  /** @param {string} token @param {number} after @param {AbortSignal} signal */
  async *#poll(token, after, signal) {
    yield* (await this.#api.poll(token, after, signal)).events;
    await this.#sleep(document.hidden ? HIDDEN_POLL_MILLISECONDS : POLL_MILLISECONDS, signal);
  }

  /** @param {number} failures @param {number} asked seconds @param {AbortSignal} signal */
  #pause(failures, asked, signal) {
    const pause = Math.min(FIRST_PAUSE_MILLISECONDS * 2 ** (failures - 1), LONGEST_PAUSE_MILLISECONDS);
    // Not all visitors at the same moment when a receiver comes back.
    return this.#sleep(Math.max(asked * 1000, pause) * (1 + Math.random() / 2), signal);
  }

  /** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
  #sleep(milliseconds, signal) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
  }
}

/**
 * Whether to keep a connection: without locks (on pages without TLS) each tab listens, and browsers have six
 * connections, so that of many tabs none could send.
 */
function mayStream() {
  return !document.hidden || Boolean(navigator.locks);
}
