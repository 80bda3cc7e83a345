/** Draws attention to answers that nobody has read: in the title of the page, and by a sound where that is on. */
export class Attention {
  #hasSound;
  #own = '';
  #shown = '';

  /** @param {boolean} hasSound */
  constructor(hasSound) {
    this.#hasSound = hasSound;
  }

  /** @param {number} unread */
  show(unread) {
    // The page may have another title by now.
    if (document.title !== this.#shown) this.#own = document.title;
    this.#shown = unread ? `(${unread}) ${this.#own}` : this.#own;
    if (document.title !== this.#shown) document.title = this.#shown;
  }

  /** Let an answer be heard. */
  ring() {
    if (!this.#hasSound) return;
    try {
      const context = new AudioContext();
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.frequency.value = 880;
      volume.gain.setValueAtTime(0.08, context.currentTime);
      volume.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 0.3);
      tone.connect(volume).connect(context.destination);
      tone.onended = () => context.close();
      tone.start();
      tone.stop(context.currentTime + 0.3);
    } catch {
      // Browsers let no page sound that nobody has touched yet.
    }
  }
}
