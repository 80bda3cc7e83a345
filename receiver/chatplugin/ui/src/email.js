import { element, icon } from './dom.js';

const LONGEST_ADDRESS = 254;

/** Where visitors may leave an address, by which they can be reached when they are gone. */
export class EmailField {
  #input;
  #give;

  /**
   * @param {import('./texts.js').Texts} texts
   * @param {(email: string) => void} give
   */
  constructor(texts, give) {
    this.#give = give;
    this.#input = element('input', {
      type: 'email',
      required: true,
      maxlength: String(LONGEST_ADDRESS),
      autocomplete: 'email',
      placeholder: texts.emailHint,
      'aria-label': texts.emailHint,
      dir: 'auto',
    });
    const send = element('button', { class: 'icon', 'aria-label': texts.sendEmail }, icon('send'));
    this.node = element('form', { class: 'email', hidden: true, onsubmit: (event) => this.#submitted(event) }, this.#input, send);
  }

  /** @param {boolean} shown */
  show(shown) {
    this.node.hidden = !shown;
  }

  /** @param {Event} event */
  #submitted(event) {
    event.preventDefault();
    this.#give(this.#input.value.trim());
    this.#input.value = '';
  }
}

/**
 * @param {string} body of a message that was written here
 * @returns {boolean} whether it holds the visitor's address
 */
export function holdsEmail(body) {
  try {
    return typeof JSON.parse(body).message.email === 'string';
  } catch {
    return false;
  }
}
