import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../src/api.js';
import { Session } from '../src/session.js';
import { Store } from '../src/store.js';
import { FakeStorage, message } from './fakes.js';

/** A receiver that knows which tokens are good. */
class Receiver {
  conversations = 0;
  calls = [];
  expired = new Set();

  async authenticate(resumeToken) {
    this.calls.push(['authenticate', resumeToken]);
    if (this.expired.has(resumeToken)) throw new ApiError(401);
    const conversation = resumeToken?.split('/')[0] ?? `c${++this.conversations}`;
    const number = this.calls.length;
    return { token: `${conversation}/t${number}`, resume_token: `${conversation}/r${number}`, conversation_id: conversation };
  }

  async tell(token, event) {
    this.calls.push(['tell', token, event]);
    if (this.expired.has(token)) throw new ApiError(401);
  }

  async send(token, key) {
    this.calls.push(['send', token, key]);
    if (this.expired.has(token)) throw new ApiError(401);
  }

  get sent() {
    return this.calls.filter(([name]) => name === 'send').map(([, token, key]) => [token.split('/')[0], key]);
  }
}

function visitor(receiver, store = new Store(new FakeStorage(), 'shop')) {
  return { store, session: new Session(receiver, store) };
}

test('nothing is asked before the first message, and the conversation is opened once', async () => {
  const receiver = new Receiver();
  const { session, store } = visitor(receiver);
  assert.deepEqual([receiver.calls, store.session], [[], null]);

  await session.send(message('a', 1));
  await session.send(message('b', 2));

  assert.deepEqual(receiver.calls.map(([name]) => name), ['authenticate', 'send', 'send']);
  assert.deepEqual(receiver.sent, [['c1', 'a'], ['c1', 'b']]);
  assert.equal(store.session.conversationId, 'c1');
});

test('the next visit goes on with the conversation', async () => {
  const receiver = new Receiver();
  const { store } = visitor(receiver);
  await visitor(receiver, store).session.send(message('a', 1));
  const before = store.session.resumeToken;
  await visitor(receiver, store).session.send(message('b', 2));

  assert.deepEqual(receiver.sent, [['c1', 'a'], ['c1', 'b']]);
  assert.notEqual(store.session.resumeToken, before);
});

test('a token that ends while a page is open is renewed with the same conversation', async () => {
  const receiver = new Receiver();
  const { session } = visitor(receiver);
  await session.send(message('a', 1));
  receiver.expired.add(receiver.calls.at(-1)[1]);
  await session.send(message('b', 2));

  assert.deepEqual(receiver.sent, [['c1', 'a'], ['c1', 'b'], ['c1', 'b']]);
});

test('after too long a time there is a new conversation', async () => {
  const receiver = new Receiver();
  const { store } = visitor(receiver);
  await visitor(receiver, store).session.send(message('a', 1));
  receiver.expired.add(store.session.resumeToken);
  await visitor(receiver, store).session.send(message('b', 2));

  assert.deepEqual(receiver.sent, [['c1', 'a'], ['c2', 'b']]);
  assert.equal(store.session.conversationId, 'c2');
});

test('a second tab, and a forgotten conversation, are noticed', async () => {
  const receiver = new Receiver();
  const { store, session: one } = visitor(receiver);
  const { session: other } = visitor(receiver, store);
  await one.send(message('a', 1));
  await other.send(message('b', 2));
  store.clear();
  await one.send(message('c', 3));
  await other.send(message('d', 4));

  assert.deepEqual(receiver.sent, [['c1', 'a'], ['c1', 'b'], ['c2', 'c'], ['c2', 'd']]);
});

test('two tabs that open a conversation at once, without locks, share one', async () => {
  const receiver = new Receiver();
  const { store, session: one } = visitor(receiver);
  const { session: other } = visitor(receiver, store);
  await Promise.all([one.send(message('a', 1)), other.send(message('a', 1))]);

  assert.equal(new Set(receiver.sent.map(([conversation]) => conversation)).size, 1);
  assert.equal(receiver.sent[0][0], store.session.conversationId);
});

test('a conversation that is forgotten while it is opened is not remembered', async () => {
  const receiver = new Receiver();
  const { store, session } = visitor(receiver);
  const sending = session.send(message('a', 1));
  session.forget();
  store.clear();
  await sending;
  assert.equal(store.session, null);
  await session.send(message('b', 2));

  assert.deepEqual(receiver.sent, [['c1', 'a'], ['c2', 'b']]);
});

test('what was read is told by a page that has no token yet, and by one whose token has ended', async () => {
  const receiver = new Receiver();
  const { store, session } = visitor(receiver);
  await session.tell('before anything was written');
  assert.deepEqual(receiver.calls, []);
  await session.send(message('a', 1));
  const { session: other } = visitor(receiver, store);

  await other.tell('seen');
  receiver.expired.add(receiver.calls.at(-1)[1]);
  await other.tell('seen again');

  const told = receiver.calls.filter(([name, token]) => name === 'tell' && !receiver.expired.has(token));
  assert.deepEqual(receiver.calls.map(([name]) => name).slice(2), ['authenticate', 'tell', 'tell', 'authenticate', 'tell']);
  assert.deepEqual(told.map(([, token, event]) => [token.split('/')[0], event]), [['c1', 'seen again']]);
});

test('trouble is told, and a receiver that refuses its own tokens is not asked forever', async () => {
  for (const status of [0, 401, 403, 429, 503]) {
    const asked = [];
    const api = {
      authenticate: async () => ({ token: 't', resume_token: 'r', conversation_id: 'c' }),
      send: async () => {
        asked.push(status);
        throw new ApiError(status);
      },
    };
    const { session } = visitor(api);
    await assert.rejects(session.send(message('a', 1)), (error) => error.status === status);
    assert.equal(asked.length, 1);
  }
});
