/** A browser's storage; `full` refuses to take more. */
export class FakeStorage {
  constructor() {
    Object.defineProperty(this, 'full', { value: false, writable: true, enumerable: false });
  }

  /** @param {string} key */
  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }

  /** @param {string} key @param {string} value */
  setItem(key, value) {
    if (this.full) throw new Error('QuotaExceededError');
    this[key] = String(value);
  }

  /** @param {string} key */
  removeItem(key) {
    delete this[key];
  }
}

/** @param {string} id @param {number} at @param {object} [more] */
export function message(id, at, more = {}) {
  return { id, at, text: id, body: `{"message":{"text":"${id}"}}`, state: 'queued', ...more };
}
