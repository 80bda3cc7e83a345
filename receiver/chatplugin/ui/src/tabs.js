/** What only one of a visitor's tabs does. */

const STORED_MILLISECONDS = 500;

/**
 * Do something in one tab at a time, whichever comes first.
 * @param {string} name
 * @param {() => Promise<void>} act
 */
export async function exclusively(name, act) {
  // Browsers give locks to secure pages only.
  await (navigator.locks ? navigator.locks.request(name, act) : act());
}

/** Wait until all tabs see what one has stored; at once where they act one after the other. */
export async function othersKnow() {
  if (!navigator.locks) await new Promise((resolve) => setTimeout(resolve, STORED_MILLISECONDS));
}

/**
 * Do something in one tab at a time, for as long as it takes: in the one that the visitor looks at.
 *
 * A tab in the background may be asleep, so one that is looked at takes over.
 *
 * @param {string} name
 * @param {(signal: AbortSignal) => Promise<void>} act ends with its signal
 * @param {AbortSignal} signal ends it all
 */
export async function inFront(name, act, signal) {
  if (!navigator.locks) return act(signal);
  let takesOver = !document.hidden;
  while (!signal.aborted) {
    const waits = new AbortController();
    const acts = new AbortController();
    const end = () => [waits, acts].forEach((each) => each.abort());
    let isActing = false;
    let isLookedAt = false;
    const look = () => {
      isLookedAt = !document.hidden && !isActing;
      if (isLookedAt) waits.abort();
    };
    signal.addEventListener('abort', end);
    document.addEventListener('visibilitychange', look);
    try {
      const options = takesOver ? { steal: true } : { signal: waits.signal };
      await navigator.locks.request(name, options, async () => {
        isActing = true;
        await act(acts.signal);
      });
      return;
    } catch {
      // Another tab has taken over: this one waits for its turn, or until the visitor looks at it again.
      takesOver = isLookedAt;
    } finally {
      acts.abort();
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', end);
    }
  }
}
