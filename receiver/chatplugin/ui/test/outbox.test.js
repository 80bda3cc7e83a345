import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../src/api.js';
import { Outbox } from '../src/outbox.js';
import { Store } from '../src/store.js';
import { FakeStorage, message } from './fakes.js';

/** An outbox whose receiver answers as told: a status for each try, 200 after the last. */
function outbox(...statuses) {
  const store = new Store(new FakeStorage(), 'shop');
  const tries = [];
  const session = {
    async send({ id, body }) {
      tries.push([id, body]);
      const [status, retryAfter] = [statuses.shift() ?? 200].flat();
      if (status !== 200) throw new ApiError(status, retryAfter);
    },
  };
  const shown = [];
  const made = new Outbox(store, session, (act) => act(), () => shown.push(made?.isWaiting));
  return { store, tries, outbox: made, shown, states: () => store.messages.map(({ state }) => state) };
}

test('messages are delivered once each, in order', async () => {
  const { store, tries, outbox: out, states } = outbox();
  store.put(message('b', 2));
  store.put(message('a', 1));

  await Promise.all([out.deliver(), out.deliver(), out.deliver()]);
  await out.deliver();

  assert.deepEqual(tries.map(([id]) => id), ['a', 'b']);
  assert.deepEqual(states(), ['sent', 'sent']);
});

test('what is written while others are delivered is delivered too', async () => {
  const { store, tries, outbox: out } = outbox();
  store.put(message('a', 1));
  const delivering = out.deliver();
  store.put(message('b', 2));
  await Promise.all([delivering, out.deliver()]);

  assert.deepEqual(tries.map(([id]) => id), ['a', 'b']);
});

test('trouble on the way is waited out, and the same is sent again, before what came later', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(Math, 'random', () => 0);
  const { store, tries, outbox: out, states } = outbox(0, 503, 500);
  store.put(message('a', 1));
  store.put(message('b', 2));

  await out.deliver();
  assert.deepEqual([states(), out.isWaiting, tries.length], [['queued', 'queued'], true, 1]);
  for (const seconds of [1, 2, 4]) {
    const before = tries.length;
    context.mock.timers.tick(seconds * 1000 - 1);
    assert.equal(tries.length, before);
    context.mock.timers.tick(1);
    await settled();
  }

  assert.deepEqual(tries.map(([id]) => id), ['a', 'a', 'a', 'a', 'b']);
  assert.equal(new Set(tries.slice(0, 4).map(([, body]) => body)).size, 1);
  assert.deepEqual([states(), out.isWaiting], [['sent', 'sent'], false]);
});

test('a receiver that names a pause gets it', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(Math, 'random', () => 0);
  const { store, tries, outbox: out } = outbox([429, 7]);
  store.put(message('a', 1));
  await out.deliver();

  context.mock.timers.tick(6999);
  await settled();
  assert.equal(tries.length, 1);
  context.mock.timers.tick(1);
  await settled();
  assert.equal(tries.length, 2);
});

test('a pause never grows beyond half a minute and some', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(Math, 'random', () => 1);
  const { store, tries, outbox: out } = outbox(...Array(20).fill(0));
  store.put(message('a', 1));
  await out.deliver();
  for (let count = 1; count < 20; count++) {
    context.mock.timers.tick(45_000);
    await settled();
  }

  assert.ok(tries.length >= 20);
});

test('the visitor need not wait', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { store, tries, outbox: out, states } = outbox(0);
  store.put(message('a', 1));
  await out.deliver();
  await out.deliver();
  context.mock.timers.tick(60_000);
  await settled();

  assert.equal(tries.length, 2);
  assert.deepEqual(states(), ['sent']);
});

test('what is refused for good does not hold up the rest, and is sent again only when asked', async () => {
  const { store, tries, outbox: out, states } = outbox(413);
  store.put(message('a', 1));
  store.put(message('b', 2));
  await out.deliver();

  assert.deepEqual(states(), ['failed', 'sent']);
  assert.equal(store.messages[0].status, 413);
  assert.equal(out.isWaiting, false);
  await out.deliver();
  assert.equal(tries.length, 2);
  await out.retry('a');
  assert.deepEqual(states(), ['sent', 'sent']);
  assert.equal(tries[2][1], tries[0][1]);
});

test('what is forgotten on the way stays forgotten', async () => {
  const { store, outbox: out, states } = outbox();
  store.put(message('a', 1));
  const delivering = out.deliver();
  store.clear();
  await delivering;

  assert.deepEqual(states(), []);
});

/** Let everything that is due happen. */
function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
