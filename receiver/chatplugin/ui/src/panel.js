import { Composer } from './composer.js';
import { element, icon } from './dom.js';
import { EmailField, holdsEmail } from './email.js';
import { isWithin } from './hours.js';
import { mount } from './host.js';
import { MessageList } from './messages.js';

const SMALL_SCREEN = '(max-width: 480px), (max-height: 480px)';

/** What visitors see: a button in the corner, and the chat that it opens. */
export class Panel {
  #texts;
  #memory;
  #messages;
  #composer;
  #replies;
  #launcher;
  #dialog;
  #status = element('div', { class: 'unseen', role: 'status' });
  #count = element('span', { class: 'count', hidden: true, 'aria-hidden': 'true' });
  /** Outside of the chat: what is in a closed one is not read out. */
  #news = element('div', { class: 'unseen', role: 'status' });
  #unread = 0;
  #shown;
  #subtitle = element('p');
  #config;
  #email;
  #isSmall = matchMedia(SMALL_SCREEN);
  #pageOverflow = '';
  /** @type {string | undefined} */
  #told;

  /**
   * @param {import('./config.js').Config} config
   * @param {(message: object, text: string) => void} post
   * @param {(id: string) => void} retry
   * @param {import('./memory.js').Memory} memory
   * @param {() => void} shown called when the visitor has opened the chat
   * @param {() => void} typed called while the visitor writes
   */
  constructor(config, post, retry, memory, shown, typed) {
    this.#shown = shown;
    this.#config = config;
    this.#email = new EmailField(config.texts, (email) => post({ text: email, email }, email));
    this.#texts = config.texts;
    this.#memory = memory;
    this.#messages = new MessageList(config, retry);
    this.#composer = new Composer(config.texts, (text) => post({ text }, text), memory, typed);
    this.#replies = this.#quickReplies(config.quickReplies, post);
    this.#launcher = this.#makeLauncher();
    this.#dialog = this.#makeDialog();
    mount(config, this.#launcher, this.#dialog, this.#news);
    this.#isSmall.addEventListener('change', () => this.#dialog.open && this.#present());
    visualViewport?.addEventListener('resize', () => this.#fit());
    visualViewport?.addEventListener('scroll', () => this.#fit());
    // On a small screen it would hide the page that the visitor has just gone to.
    if (memory.isOpen && !this.#isSmall.matches) this.#present();
    this.#label();
  }

  /** Whether the visitor sees the chat. */
  get isOpen() {
    return this.#dialog.open;
  }

  /** Open the chat and let the visitor write. */
  open() {
    this.#present();
    this.#shown();
    // On a phone, writing would push up the keyboard before anything is read.
    if (matchMedia('(pointer: coarse)').matches) this.#dialog.focus();
    else this.#composer.focus();
  }

  /** Close the chat and go back to the button that opens it. */
  close() {
    this.#dialog.close();
    this.#hold(false);
    this.#label();
    this.#launcher.focus();
  }

  /**
   * @param {import('./store.js').Message[]} messages
   * @param {boolean} isWaiting
   * @param {number} unread how many answers the visitor has not read
   * @param {number} seen up to when what the visitor wrote was read
   */
  show(messages, isWaiting, unread, seen) {
    this.#messages.show(messages, isWaiting, seen);
    this.#replies.hidden = messages.length > 0;
    this.#email.show(this.#config.email && messages.length > 0 && !messages.some(({ body }) => holdsEmail(body)));
    this.#tell(messages.filter(({ state }) => state !== 'received').at(-1), isWaiting);
    this.#tellUnread(unread);
  }

  /** @param {boolean} isTyping whether somebody is about to answer */
  showTyping(isTyping) {
    this.#messages.showTyping(isTyping);
  }

  /** @param {number} unread */
  #tellUnread(unread) {
    // In an open chat the answer itself is read out.
    if (unread > this.#unread) this.#news.textContent = `${this.#texts.unread} ${unread}`;
    this.#unread = unread;
    this.#count.hidden = unread === 0;
    this.#count.textContent = unread > 99 ? '99+' : String(unread);
    this.#label();
  }

  /**
   * Tell screen readers what became of the last message, if that has changed.
   *
   * @param {import('./store.js').Message | undefined} last
   * @param {boolean} isWaiting
   */
  #tell(last, isWaiting) {
    const { sent, waiting, failed, tooLong } = this.#texts;
    const queued = isWaiting ? waiting : '';
    const text = last ? { sent, queued, failed: last.status === 413 ? tooLong : failed, received: '' }[last.state] : '';
    const told = `${last?.id} ${text}`;
    if (this.#told !== undefined && this.#told !== told) this.#status.textContent = text;
    this.#told = told;
  }

  #present() {
    this.#dialog.close();
    if (this.#isSmall.matches) this.#dialog.showModal();
    // Unlike `show`, this leaves the focus where the visitor has it.
    else this.#dialog.open = true;
    this.#hold(this.#isSmall.matches);
    this.#fit();
    this.#label();
    const { officeHours, texts } = this.#config;
    this.#subtitle.textContent = isWithin(officeHours, new Date()) ? texts.subtitle : texts.away;
    this.#messages.scrollToEnd();
  }

  #label() {
    const { open: isOpen } = this.#dialog;
    this.#memory.isOpen = isOpen;
    this.#launcher.setAttribute('aria-expanded', String(isOpen));
    const { open, close, unread } = this.#texts;
    const label = this.#unread ? `${open}. ${unread} ${this.#unread}` : open;
    this.#launcher.setAttribute('aria-label', isOpen ? close : label);
  }

  /** Fill what a phone's keyboard leaves of the screen. */
  #fit() {
    const { height, offsetTop } = visualViewport ?? { height: innerHeight, offsetTop: 0 };
    this.#dialog.style.setProperty('--height', `${height}px`);
    this.#dialog.style.setProperty('--top', `${offsetTop}px`);
  }

  /**
   * Keep the page behind a full-screen chat from scrolling.
   * @param {boolean} held
   */
  #hold(held) {
    const { style } = document.documentElement;
    if (held === (this.#pageOverflow !== '')) return;
    if (held) {
      this.#pageOverflow = style.overflow || 'visible';
      style.overflow = 'hidden';
    } else {
      style.overflow = this.#pageOverflow === 'visible' ? '' : this.#pageOverflow;
      this.#pageOverflow = '';
    }
  }

  /** @param {Event} event */
  #escape(event) {
    event.preventDefault();
    if (this.#composer.isShowingEmoji) this.#composer.showEmoji(false);
    else this.close();
  }

  #makeLauncher() {
    return element(
      'button',
      {
        type: 'button',
        class: 'launcher',
        'aria-haspopup': 'dialog',
        onclick: () => (this.#dialog.open ? this.close() : this.open()),
      },
      icon('chat'),
      icon('close'),
      this.#count,
    );
  }

  #makeDialog() {
    const { title, close } = this.#texts;
    return element(
      'dialog',
      {
        tabindex: '-1',
        'aria-labelledby': 'title',
        oncancel: (event) => this.#escape(event),
        onkeydown: (event) => event.key === 'Escape' && this.#escape(event),
      },
      element(
        'header',
        {},
        element('span', { class: 'badge' }, icon('chat')),
        element('div', {}, element('h2', { id: 'title' }, title), this.#subtitle),
        element(
          'button',
          { type: 'button', class: 'icon', 'aria-label': close, onclick: () => this.close() },
          icon('close'),
        ),
      ),
      this.#messages.node,
      this.#replies,
      this.#email.node,
      this.#status,
      this.#composer.node,
    );
  }

  /**
   * @param {import('./config.js').QuickReply[]} replies
   * @param {(message: object, text: string) => void} post
   */
  #quickReplies(replies, post) {
    const buttons = replies.map(({ title, payload }) => {
      const onclick = () => {
        post({ type: 'quickReply', text: title, postbackData: payload }, title);
        this.#composer.focus();
      };
      return element('button', { type: 'button', dir: 'auto', onclick }, title);
    });
    return element('div', { class: 'replies' }, ...buttons);
  }
}
