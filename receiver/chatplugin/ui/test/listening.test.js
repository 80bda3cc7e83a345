import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { ApiError } from '../src/api.js';
import { Listening } from '../src/listening.js';
import { Store } from '../src/store.js';
import { FakeStorage } from './fakes.js';

globalThis.document = { hidden: false };

/** A receiver whose answers a test gives: each a list of events, an error, or what never comes. */
class Receiver {
  asked = [];
  opened = 0;
  /** @type {any[]} */
  streams = [];
  /** @type {any[]} */
  polls = [];

  async resume() {
    this.opened += 1;
    return { token: `t${this.opened}`, conversation_id: 'c1', last_event_id: 3, messages: [], now: '', seen_at: null };
  }

  async stream(token, after, signal) {
    this.asked.push(['stream', token, after]);
    const next = this.streams.shift();
    if (next instanceof Error) throw next;
    const text = (next ?? []).map((/** @type {any} */ event) => `id: ${event.id}\ndata: ${JSON.stringify(event.data)}\n\n`);
    return new ReadableStream({
      start(controller) {
        if (next) text.concat(':\n\n').forEach((each) => controller.enqueue(new TextEncoder().encode(each)));
        // It stays open until the browser leaves.
        signal.addEventListener('abort', () => controller.error(new Error('aborted')));
      },
    });
  }

  async poll(token, after) {
    this.asked.push(['poll', token, after]);
    const next = this.polls.shift() ?? [];
    if (next instanceof Error) throw next;
    return { events: next };
  }
}

/** Let all that is ready go on. */
async function settle() {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

function listening(receiver) {
  const store = new Store(new FakeStorage(), 'shop');
  const told = { opened: [], events: [] };
  const alone = (/** @type {string} */ _, act, signal) => act(signal);
  const listener = new Listening(receiver, receiver, store, alone, {
    opened: (opened) => told.opened.push(opened),
    event: (event) => told.events.push(event.data),
  });
  return { store, listener, told };
}

/** @param {(context: any) => Promise<void>} body */
async function timed(body) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const receiver = new Receiver();
  const context = { receiver, ...listening(receiver) };
  try {
    await body(context);
  } finally {
    context.listener.stop();
    mock.timers.reset();
  }
}

const SESSION = { conversationId: 'c1', resumeToken: 'r' };

test('nothing is asked before there is a conversation', () =>
  timed(async ({ receiver, listener, store }) => {
    listener.check();
    await settle();
    assert.equal(receiver.opened, 0);

    store.session = SESSION;
    listener.check();
    listener.check();
    await settle();
    assert.deepEqual(receiver.asked, [['stream', 't1', 3]]);
  }));

test('a stream that is lost goes on after what was heard', () =>
  timed(async ({ receiver, listener, store, told }) => {
    receiver.streams = [[{ id: 4, data: 'a' }], [{ id: 5, data: 'b' }]];
    store.session = SESSION;
    listener.check();
    await settle();
    listener.interrupt();
    await settle();
    mock.timers.tick(60_000);
    await settle();

    assert.deepEqual(told.events, ['a', 'b']);
    assert.deepEqual(receiver.asked, [['stream', 't1', 3], ['stream', 't1', 4]]);
  }));

test('a stream that a proxy keeps to itself is replaced by asking, and tried again later', () =>
  timed(async ({ receiver, listener, store, told }) => {
    receiver.streams = [undefined, [{ id: 6, data: 'c' }]];
    receiver.polls = [[{ id: 5, data: 'a' }]];
    store.session = SESSION;
    listener.check();
    await settle();
    mock.timers.tick(6_000);
    await settle();
    mock.timers.tick(2_000);
    await settle();
    assert.deepEqual(receiver.asked.slice(1), [['poll', 't1', 3]]);
    for (let second = 0; second < 320; second += 5) {
      mock.timers.tick(5_000);
      await settle();
    }

    assert.deepEqual(told.events, ['a', 'c']);
    assert.deepEqual(receiver.asked.at(-1), ['stream', 't1', 5]);
  }));

test('where too many listen, this one asks now and then', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = [new ApiError(503, 30)];
    store.session = SESSION;
    listener.check();
    await settle();
    mock.timers.tick(2_000);
    await settle();

    assert.deepEqual(receiver.asked.map(([way]) => way), ['stream', 'poll']);
  }));

test('without locks a tab that nobody looks at keeps no connection', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = [[], []];
    const pretend = (/** @type {object | undefined} */ locks) =>
      Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
    store.session = SESSION;
    listener.check();
    await settle();
    globalThis.document = { hidden: true };
    pretend({});
    listener.yieldStream();
    mock.timers.tick(2_000);
    await settle();
    assert.deepEqual(receiver.asked.map(([way]) => way), ['stream']);

    pretend(undefined);
    listener.yieldStream();
    await settle();
    mock.timers.tick(2_000);
    await settle();
    globalThis.document = { hidden: false };
    listener.wake();
    await settle();

    assert.deepEqual(receiver.asked.map(([way]) => way), ['stream', 'poll', 'stream']);
  }));

test('a stream that says nothing any more is given up', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = [[], []];
    store.session = SESSION;
    listener.check();
    await settle();
    mock.timers.tick(40_000);
    await settle();
    mock.timers.tick(2_000);
    await settle();

    assert.deepEqual(receiver.asked.map(([way]) => way), ['stream', 'stream']);
  }));

test('a token that ended is renewed, and a receiver that refuses its own is not asked in a row', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = [new ApiError(401), new ApiError(401), new ApiError(401), new ApiError(401)];
    store.session = SESSION;
    listener.check();
    await settle();

    assert.deepEqual(receiver.asked, [['stream', 't1', 3], ['stream', 't2', 3]]);
  }));

test('a chat that keeps no answers is asked once', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = [new ApiError(404)];
    store.session = SESSION;
    listener.check();
    await settle();
    listener.check();
    mock.timers.tick(600_000);
    await settle();

    assert.equal(receiver.asked.length, 1);
  }));

test('a conversation that is forgotten is listened to no more', () =>
  timed(async ({ receiver, listener, store, told }) => {
    store.session = SESSION;
    listener.check();
    await settle();
    store.clear();
    listener.check();
    mock.timers.tick(600_000);
    await settle();

    assert.equal(receiver.asked.length, 1);
    assert.equal(told.opened.length, 1);
  }));

test('trouble is met with longer and longer pauses, which the network ends when it is back', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = Array.from({ length: 40 }, () => new ApiError(0));
    store.session = SESSION;
    listener.check();
    await settle();
    for (let second = 0; second < 120; second++) {
      mock.timers.tick(1_000);
      await settle();
    }
    const before = receiver.asked.length;
    assert.ok(before > 4 && before < 12, `${before} requests in two minutes`);

    listener.wake();
    await settle();
    assert.equal(receiver.asked.length, before + 1);
  }));

test('a proxy that cuts streams off after half a minute costs a second each time, and no more', () =>
  timed(async ({ receiver, listener, store }) => {
    receiver.streams = Array.from({ length: 40 }, (_, number) => [{ id: 4 + number, data: 'a' }]);
    store.session = SESSION;
    listener.check();
    await settle();
    for (let second = 0; second < 330; second++) {
      mock.timers.tick(1_000);
      await settle();
      if (second % 33 === 30) listener.interrupt();
      await settle();
    }

    assert.equal(receiver.asked.length, 11);
  }));
