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
   * @returns {Promise<{token: string, resume_token: string, conversation_id: string}>}
   * @throws {ApiError}
   */
  authenticate(resumeToken) {
    return this.#post('authenticate', JSON.stringify({ channel_id: this.#channelId, resume_token: resumeToken }));
  }

  /**
   * @param {string} token
   * @param {string} key by which the receiver knows a retry
   * @param {string} body
   * @throws {ApiError}
   */
  async send(token, key, body) {
    await this.#post('send', body, { Authorization: `Bearer ${token}`, 'Idempotency-Key': `"${key}"` });
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
      if (!response.ok) throw new ApiError(response.status, Number(response.headers.get('Retry-After')) || 0);
      return await response.json();
    } catch (error) {
      throw error instanceof ApiError ? error : new ApiError(0);
    } finally {
      clearTimeout(timer);
    }
  }
}
