import { element, icon } from './dom.js';

const LONGEST_TEXT = 4000;
/** The code of a key that an input method has taken. */
const INPUT_METHOD = 229;
const EMOJI =
  '😀 😄 😂 🙂 😉 😍 🤔 😕 😢 😡 😮 🙏 👍 👎 👏 🙌 👋 💪 ❤️ 💔 🎉 🔥 ✨ ⭐ ✅ ❌ ❓ ❗ ☀️ ☕ 🎁 🚚'.split(' ');

/** Where a message is written: text, emoji, Enter to send, Shift and Enter for a new line. */
export class Composer {
  #submit;
  #draft;
  #input;
  #emoji;
  #emojiButton;

  /**
   * @param {import('./texts.js').Texts} texts
   * @param {(text: string) => void} submit
   * @param {{text: string}} draft kept while the visitor goes from page to page
   * @param {() => void} typed called while the visitor writes
   */
  constructor(texts, submit, draft, typed) {
    this.#submit = submit;
    this.#draft = draft;
    this.#input = element('textarea', {
      rows: '1',
      maxlength: String(LONGEST_TEXT),
      placeholder: texts.placeholder,
      'aria-label': texts.placeholder,
      dir: 'auto',
      enterkeyhint: 'send',
      autocomplete: 'off',
      oninput: () => {
        this.#changed();
        if (this.#input.value.trim()) typed();
      },
      onkeydown: (event) => this.#pressed(event),
    });
    this.#emojiButton = element(
      'button',
      {
        type: 'button',
        class: 'icon',
        'aria-label': texts.emoji,
        'aria-expanded': 'false',
        'aria-controls': 'emoji',
        onclick: () => this.showEmoji(!this.isShowingEmoji),
      },
      icon('emoji'),
    );
    this.#emoji = element('div', { id: 'emoji', role: 'group', 'aria-label': texts.emoji, hidden: true });
    this.#emoji.append(
      ...EMOJI.map((each) =>
        element('button', { type: 'button', onclick: () => this.#insert(each) }, each),
      ),
    );
    const send = element('button', { class: 'icon send', 'aria-label': texts.send }, icon('send'));
    this.node = element(
      'form',
      { class: 'composer', onsubmit: (event) => this.#submitted(event) },
      this.#emoji,
      element('div', { class: 'field' }, this.#input, this.#emojiButton, send),
    );
    this.#input.value = draft.text;
  }

  /** Let the visitor write. */
  focus() {
    this.#input.focus();
    this.#fit();
  }

  /** @returns {boolean} whether the emoji are shown */
  get isShowingEmoji() {
    return this.#emoji.hidden === false;
  }

  /** @param {boolean} shown */
  showEmoji(shown) {
    this.#emoji.hidden = !shown;
    this.#emojiButton.setAttribute('aria-expanded', String(shown));
    if (!shown) this.#input.focus();
  }

  /** @param {string} emoji */
  #insert(emoji) {
    this.#input.setRangeText(emoji, this.#input.selectionStart, this.#input.selectionEnd, 'end');
    this.#changed();
  }

  #changed() {
    this.#draft.text = this.#input.value;
    this.#fit();
  }

  /** Make the field as high as its text, up to what the styles allow. */
  #fit() {
    this.#input.style.height = 'auto';
    this.#input.style.height = `${this.#input.scrollHeight}px`;
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    // While a word is being composed (Chinese, Japanese, …), Enter belongs to the input method. Safari says of
    // the one that ends it only that the method has it: https://bugs.webkit.org/show_bug.cgi?id=165004
    const isComposing = event.isComposing || event.keyCode === INPUT_METHOD;
    if (event.key === 'Enter' && !event.shiftKey && !isComposing) this.#submitted(event);
  }

  /** @param {Event} event */
  #submitted(event) {
    event.preventDefault();
    const text = this.#input.value.trim();
    if (!text) return this.#input.focus();
    this.#input.value = '';
    this.#changed();
    this.showEmoji(false);
    this.#submit(text);
  }
}
