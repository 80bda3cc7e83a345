import { element, icon } from './dom.js';

/** The list of messages: what was written, when, and how far it got. */
export class MessageList {
  #config;
  #retry;
  #list = element('ol');
  #typing;
  /** @type {Map<string, {item: HTMLElement, day: HTMLElement, meta: HTMLElement, shown: string}>} */
  #items = new Map();
  #formats;

  /**
   * @param {import('./config.js').Config} config
   * @param {(id: string) => void} retry
   */
  constructor(config, retry) {
    this.#config = config;
    this.#retry = retry;
    this.#formats = {
      time: formatter(config.language, { timeStyle: 'short' }),
      day: formatter(config.language, { dateStyle: 'medium' }),
    };
    const { texts } = config;
    this.#typing = element('p', { class: 'typing', hidden: true }, texts.typing);
    const welcome = element('p', { class: 'bubble theirs', dir: 'auto' }, texts.welcome);
    this.node = element(
      'div',
      { class: 'log', role: 'log', 'aria-label': texts.messages, 'aria-relevant': 'additions', tabindex: '0' },
      welcome,
      this.#list,
      this.#typing,
    );
  }

  /** @param {boolean} isTyping whether somebody is about to answer */
  showTyping(isTyping) {
    if (this.#typing.hidden !== isTyping) return;
    this.#typing.hidden = !isTyping;
    if (isTyping) this.scrollToEnd();
  }

  /**
   * Show the messages as they are now; only what changed is touched, so that only that is read out.
   *
   * @param {import('./store.js').Message[]} messages
   * @param {boolean} isWaiting
   * @param {number} seen up to when what the visitor wrote was read
   */
  show(messages, isWaiting, seen) {
    const gone = new Set(this.#items.keys());
    let lastDate = '';
    let isNew = false;
    for (const [index, message] of messages.entries()) {
      gone.delete(message.id);
      const known = this.#items.get(message.id);
      const { item, day, meta, shown } = known ?? this.#add(message, index);
      const date = new Date(message.at).toDateString();
      // What was today when it was added may not be any more.
      const name = item.toggleAttribute('data-day', date !== lastDate) ? this.#day(message.at) : '';
      if (day.textContent !== name) day.textContent = name;
      lastDate = date;
      const state = shownState(message, isWaiting, seen);
      if (shown !== state) {
        item.dataset.state = state;
        meta.replaceChildren(...this.#meta(message, state));
        this.#items.set(message.id, { item, day, meta, shown: state });
      }
      isNew ||= !known;
    }
    for (const id of gone) {
      this.#items.get(id)?.item.remove();
      this.#items.delete(id);
    }
    if (isNew) this.scrollToEnd();
  }

  /** Bring the newest message into view. */
  scrollToEnd() {
    this.node.scrollTop = this.node.scrollHeight;
  }

  /** @param {import('./store.js').Message} message @param {number} index */
  #add(message, index) {
    const day = element('p', { class: 'day' });
    const meta = element('div', { class: 'meta' });
    const { texts, direction } = this.#config;
    const isAnswer = message.state === 'received';
    const item = element(
      'li',
      {},
      day,
      element(
        'p',
        { class: isAnswer ? 'bubble theirs' : 'bubble mine', dir: 'auto' },
        // Its own direction, so that it does not decide on the message's.
        element('span', { class: 'unseen', dir: direction }, `${isAnswer ? texts.answer : texts.you} `),
        message.text || texts.unshown,
      ),
      meta,
    );
    this.#list.insertBefore(item, this.#list.children[index] ?? null);
    return { item, day, meta, shown: '' };
  }

  /** @param {number} at */
  #day(at) {
    const isToday = new Date(at).toDateString() === new Date().toDateString();
    return isToday ? this.#config.texts.today : this.#formats.day.format(at);
  }

  /**
   * @param {import('./store.js').Message} message
   * @param {string} state
   * @returns {Node[]}
   */
  #meta({ id, at, status, name }, state) {
    const { texts } = this.#config;
    const time = element('time', { datetime: new Date(at).toISOString() }, this.#formats.time.format(at));
    switch (state) {
      case 'received':
        return name ? [element('span', { dir: 'auto' }, name), time] : [time];
      case 'seen':
        return [time, icon('sent'), element('span', {}, texts.seen)];
      case 'sent':
        return [time, icon('sent'), element('span', { class: 'unseen' }, texts.sent)];
      case 'queued':
        return [icon('sending'), element('span', {}, texts.sending)];
      case 'waiting':
        return [icon('sending'), element('span', {}, texts.waiting), this.#button(id, texts.tryNow)];
      default:
        return status === 413
          ? [icon('alert'), element('span', {}, texts.tooLong)]
          : [icon('alert'), element('span', {}, texts.failed), this.#button(id, texts.tryAgain)];
    }
  }

  /** @param {string} id @param {string} title */
  #button(id, title) {
    return element('button', { type: 'button', class: 'link', onclick: () => this.#retry(id) }, title);
  }
}

/**
 * @param {import('./store.js').Message} message
 * @param {boolean} isWaiting
 * @param {number} seen
 */
function shownState({ state, at }, isWaiting, seen) {
  if (state === 'queued' && isWaiting) return 'waiting';
  return state === 'sent' && at <= seen ? 'seen' : state;
}

/** @param {string} language @param {Intl.DateTimeFormatOptions} options */
function formatter(language, options) {
  try {
    return new Intl.DateTimeFormat(language, options);
  } catch {
    return new Intl.DateTimeFormat(undefined, options);
  }
}
