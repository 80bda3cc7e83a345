/** What one tab remembers while its visitor goes from page to page: the draft, and whether the chat is open. */
export class Memory {
  #storage;
  #key;
  #text = '';
  #isOpen = false;

  /** @param {Storage | null} storage @param {string} channelId */
  constructor(storage, channelId) {
    this.#storage = storage;
    this.#key = `parley:${channelId}:tab`;
    const [isOpen, text] = [storage?.getItem(this.#key)?.[0], storage?.getItem(this.#key)?.slice(1)];
    this.#isOpen = isOpen === '+';
    this.#text = text ?? '';
  }

  get text() {
    return this.#text;
  }

  set text(text) {
    this.#text = text;
    this.#keep();
  }

  get isOpen() {
    return this.#isOpen;
  }

  set isOpen(isOpen) {
    this.#isOpen = isOpen;
    this.#keep();
  }

  #keep() {
    try {
      if (this.#isOpen || this.#text) this.#storage?.setItem(this.#key, (this.#isOpen ? '+' : '-') + this.#text);
      else this.#storage?.removeItem(this.#key);
    } catch {
      // A full storage: the draft lives as long as the page.
    }
  }
}
