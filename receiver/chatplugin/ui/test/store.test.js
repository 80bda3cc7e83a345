import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Store } from '../src/store.js';
import { FakeStorage, message } from './fakes.js';

const ids = (store) => store.messages.map(({ id }) => id);

test('messages are in the order in which they were written, whichever tab wrote them', () => {
  const storage = new FakeStorage();
  const [one, other] = [new Store(storage, 'shop'), new Store(storage, 'shop')];

  one.put(message('b', 2));
  other.put(message('a', 1));
  one.put(message('c', 2));

  assert.deepEqual(ids(one), ['a', 'b', 'c']);
  assert.deepEqual(ids(other), ['a', 'b', 'c']);
});

test('channels do not share', () => {
  const storage = new FakeStorage();
  new Store(storage, 'shop').put(message('a', 1));

  assert.deepEqual(ids(new Store(storage, 'help')), []);
});

test('to forget a channel leaves one whose name begins with it', () => {
  const storage = new FakeStorage();
  const [shop, english] = [new Store(storage, 'shop'), new Store(storage, 'shop:en')];
  shop.put(message('a', 1));
  english.put(message('b', 2));
  english.session = { conversationId: 'c', resumeToken: 't' };

  shop.clear();

  assert.deepEqual([ids(shop), ids(english), english.session?.conversationId], [[], ['b'], 'c']);
  assert.equal(shop.concerns({ key: 'parley:shop:en:session' }), false);
});

test('a change of a message that is gone does not bring it back', () => {
  const store = new Store(new FakeStorage(), 'shop');
  store.put(message('a', 1));
  store.update('a', { state: 'sent' });
  assert.equal(store.messages[0].state, 'sent');

  store.clear();
  store.update('a', { state: 'failed' });
  assert.deepEqual(ids(store), []);
});

test('what somebody else broke is passed over', () => {
  const storage = new FakeStorage();
  const store = new Store(storage, 'shop');
  storage.setItem('parley:shop:message:x', '{');
  storage.setItem('parley:shop:message:y', '{"id":"y"}');
  storage.setItem('parley:shop:session', '7');
  store.put(message('a', 1));

  assert.deepEqual(ids(store), ['a']);
  assert.equal(store.session, null);
});

test('a full or forbidden storage loses nothing as long as the page lives', () => {
  for (const storage of [null, new FakeStorage()]) {
    const store = new Store(storage, 'shop');
    if (storage) storage.full = true;
    store.put(message('a', 1));
    store.update('a', { state: 'sent' });
    store.session = { conversationId: 'c', resumeToken: 't' };

    assert.equal(store.messages[0].state, 'sent');
    assert.equal(store.session.resumeToken, 't');
    store.clear();
    assert.deepEqual(ids(store), []);
  }
});

test('old messages are forgotten, unsent ones never', () => {
  const store = new Store(new FakeStorage(), 'shop');
  const day = 86_400_000;
  for (let number = 0; number < 250; number++) store.put(message(`m${number}`, 100 * day + number, { state: 'sent' }));
  store.put(message('old', 60 * day, { state: 'sent' }));
  store.put(message('unsent', day));
  store.put(message('refused', day, { state: 'failed' }));

  store.prune(100 * day);

  assert.equal(store.messages.length, 202);
  assert.deepEqual(ids(store).slice(0, 3), ['refused', 'unsent', 'm50']);
});

test('only changes of its own channel concern it', () => {
  const store = new Store(null, 'shop');

  assert.equal(store.concerns({ key: 'parley:shop:message:a' }), true);
  assert.equal(store.concerns({ key: null }), true);
  assert.equal(store.concerns({ key: 'cart' }), false);
});

test('what the receiver tells is added once, in its order, and what was written here is known', () => {
  const store = new Store(new FakeStorage(), 'shop');
  const received = (/** @type {string} */ id, /** @type {number} */ at) => message(id, at, { body: '', state: 'received' });
  store.put(message('mine', 5, { state: 'sent', messageId: 'm-1' }));
  store.put(message('on its way', 7));
  const told = [
    message('m-1', 5, { body: '', state: 'sent' }),
    { ...message('m-2', 7, { body: '', state: 'sent' }), text: 'on its way' },
    message('of another device', 6, { body: '', state: 'sent' }),
    received('b', 20),
    received('a', 20),
  ];

  assert.deepEqual(store.receive(told).map(({ id }) => id), ['of another device', 'b', 'a']);
  assert.deepEqual(store.receive(told), []);
  assert.deepEqual(store.receive([received('late', 1)]).map(({ at }) => at), [22]);
  assert.deepEqual(
    store.messages.map(({ id }) => id),
    ['mine', 'of another device', 'on its way', 'b', 'a', 'late'],
  );
});

test('what was read and is forgotten does not come as new, and what was not read does', () => {
  const store = new Store(new FakeStorage(), 'shop');
  const day = 86_400_000;
  const received = (/** @type {string} */ id, /** @type {number} */ at) => message(id, at, { body: '', state: 'received' });
  const told = () => [
    message('question', 59 * day, { body: '', state: 'sent' }),
    received('answer', 60 * day),
    received('later', 99 * day),
  ];
  assert.deepEqual(store.receive(told(), 100 * day).map(({ id }) => id), ['question', 'answer', 'later']);
  store.marks = { read: 99 * day, seen: 0 };

  store.prune(100 * day);

  assert.deepEqual(store.receive(told(), 100 * day), []);
  assert.deepEqual(ids(store), ['later']);
});

test('what was read is remembered, and forgotten with the rest', () => {
  const storage = new FakeStorage();
  const store = new Store(storage, 'shop');
  assert.deepEqual(store.marks, { read: 0, seen: 0 });
  store.marks = { read: 7, seen: 5 };
  assert.deepEqual(new Store(storage, 'shop').marks, { read: 7, seen: 5 });
  store.clear();
  assert.deepEqual(store.marks, { read: 0, seen: 0 });
});
