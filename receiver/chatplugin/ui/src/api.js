/** The receiver's API, as far as the widget needs it. */

const TIMEOUT_MILLISECONDS = 20_000;
/** Browsers let all that may outlive a page be 64 KiB together; no character is longer than three bytes. */
const LONGEST_KEPT_ALIVE = 20_000;
const FINAL = [400, 403, 404, 413, 415];

/** The receiver, or the network on the way to it, did not take a request. */
export class ApiError extends Error {
  /**
   * @param {number} status the HTTP status, 0 where there was no answer
   * @param {number} [retryAfter] seconds
   */
  constructor(status, retryAfter = 0) {
    super(`the chat's server answered ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request would be refused again. */
  get final() {
    return FINAL.includes(this.status);
  }
}

/**
 * @typedef {object} ServerMessage a message as the receiver gives it
 * @property {string} id
 * @property {any} content
 * @property {boolean} from_contact
 * @property {string} sent_at
 * @property {{name?: string}} [sender]
 *
 * @typedef {object} Opened
 * @property {string} token
 * @property {string} resume_token
 * @property {string} conversation_id
 * @property {string} now
 * @property {ServerMessage[]} messages
 * @property {number} last_event_id
 * @property {string | null} seen_at
 */

export class Api {
  #base;
  #channelId;

  /** @param {string} base @param {string} channelId */
  constructor(base, channelId) {
    this.#base = base;
    this.#channelId = channelId;
  }

  /**
   * @param {string} [resumeToken]
   * @returns {Promise<Opened>}
   * @throws {ApiError}
   */
  authenticate(resumeToken) {
    return this.#post('authenticate', JSON.stringify({ channel_id: this.#channelId, resume_token: resumeToken }));
  }

  /**
   * @param {string} token
   * @param {string} key by which the receiver knows a retry
   * @param {string} body
   * @returns {Promise<{id: string}>} the message as the receiver knows it
   * @throws {ApiError}
   */
  send(token, key, body) {
    return this.#post('send', body, { Authorization: `Bearer ${token}`, 'Idempotency-Key': `"${key}"` });
  }

  /**
   * Tell what the visitor does besides writing.
   * @param {string} token
   * @param {object} event
   * @throws {ApiError}
   */
  async tell(token, event) {
    await this.#post('events', JSON.stringify(event), { Authorization: `Bearer ${token}` });
  }

  /**
   * Ask what is new after an event.
   * @param {string} token
   * @param {number} after
   * @param {AbortSignal} signal
   * @returns {Promise<{events: import('./events.js').ServerEvent[]}>}
   * @throws {ApiError}
   */
  async poll(token, after, signal) {
    const response = await this.#get(token, after, 'application/json', signal);
    return await response.json().catch(() => {
      throw new ApiError(0);
    });
  }

  /**
   * Hear what is new after an event, for as long as it lasts.
   * @param {string} token
   * @param {number} after
   * @param {AbortSignal} signal
   * @returns {Promise<ReadableStream<Uint8Array>>}
   * @throws {ApiError}
   */
  async stream(token, after, signal) {
    const { body } = await this.#get(token, after, 'text/event-stream', signal);
    if (!body) throw new ApiError(0);
    return body;
  }

  /** @param {string} token @param {number} after @param {string} accepted @param {AbortSignal} signal */
  async #get(token, after, accepted, signal) {
    // Not by EventSource: that would have to put the token into the address.
    const headers = { Accept: accepted, Authorization: `Bearer ${token}`, 'Last-Event-ID': String(after) };
    const url = `${this.#base}chatplugin.events`;
    const response = await fetch(url, { headers, credentials: 'omit', cache: 'no-store', signal }).catch(() => {
      throw new ApiError(0);
    });
    if (!response.ok) throw refusal(response);
    return response;
  }

  /**
   * @param {string} name
   * @param {string} body
   * @param {Record<string, string>} [headers]
   */
  async #post(name, body, headers) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), TIMEOUT_MILLISECONDS);
    try {
      const response = await fetch(`${this.#base}chatplugin.${name}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body,
        credentials: 'omit',
        // A message that is on its way when the visitor leaves the page still arrives.
        keepalive: body.length <= LONGEST_KEPT_ALIVE,
        signal: stop.signal,
      });
      if (!response.ok) throw refusal(response);
      return await response.json();
    } catch (error) {
      throw error instanceof ApiError ? error : new ApiError(0);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** @param {Response} response */
function refusal(response) {
  return new ApiError(response.status, Number(response.headers.get('Retry-After')) || 0);
}
