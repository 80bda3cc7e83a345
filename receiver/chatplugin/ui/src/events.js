/**
 * What the receiver tells: server-sent events, read from a stream of bytes.
 *
 * @typedef {{id?: number, event: string, data: any}} ServerEvent
 */

/**
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 *
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} heard called whenever anything comes, also what says only that the other side is there
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* readEvents(body, heard) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    // Whoever stops listening lets the other side know.
    reader.cancel().catch(() => {});
  }
}

/**
 * @param {string} block the lines of one event
 * @returns {ServerEvent | null} null where they hold none
 */
export function parse(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
    fields[name] = name === 'data' && 'data' in fields ? `${fields.data}\n${value}` : value;
  }
  if (!('data' in fields)) return null;
  try {
    const id = fields.id === undefined ? undefined : Number(fields.id);
    return { id, event: fields.event || 'message', data: JSON.parse(fields.data ?? '') };
  } catch {
    return null;
  }
}
