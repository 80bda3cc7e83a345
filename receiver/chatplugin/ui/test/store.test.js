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
