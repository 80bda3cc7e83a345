import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, readEvents } from '../src/events.js';

/** @param {(string | Uint8Array)[]} parts as they come over the network */
function body(...parts) {
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(typeof part === 'string' ? new TextEncoder().encode(part) : part);
      controller.close();
    },
  });
}

async function all(stream, heard = () => {}) {
  const events = [];
  for await (const event of readEvents(stream, heard)) events.push(event);
  return events;
}

test('events are read however the network cuts them', async () => {
  const text = 'retry: 2000\nevent: ready\ndata: {}\n\n:\n\nid: 7\nevent: message\ndata: {"text":\ndata: "ä 😀"}\n\n';
  const expected = [
    { id: undefined, event: 'ready', data: {} },
    { id: 7, event: 'message', data: { text: 'ä 😀' } },
  ];
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at++) {
    assert.deepEqual(await all(body(bytes.slice(0, at), bytes.slice(at))), expected);
  }
  assert.deepEqual(await all(body(...Array.from(bytes, (byte) => new Uint8Array([byte])))), expected);
});

test('whatever comes is heard, and half an event is none', async () => {
  let heard = 0;
  assert.deepEqual(await all(body(':\n\n', ':\n\n', 'data: {"a"'), () => heard++), []);
  assert.equal(heard, 3);
});

test('what is no event is passed over', () => {
  for (const block of ['', ':', 'id: 1', 'data', 'data: {', 'event: x']) assert.equal(parse(block), null);
  assert.deepEqual(parse('data:1'), { id: undefined, event: 'message', data: 1 });
});
