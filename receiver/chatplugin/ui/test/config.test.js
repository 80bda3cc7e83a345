import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contrast, inkOn } from '../src/colour.js';
import { readConfig } from '../src/config.js';
import { textsFor } from '../src/texts.js';

const SCRIPT = 'https://chat.example/in/chatplugin/ui/s.js';

test('a channel is all that a page has to name', () => {
  const config = readConfig({ channelId: 'shop' }, SCRIPT, 'en');

  assert.equal(config.channelId, 'shop');
  assert.equal(config.api, 'https://chat.example/in/');
  assert.deepEqual([config.theme, config.position, config.direction], ['auto', 'end', 'ltr']);
  assert.deepEqual(config.texts, textsFor('en'));
});

test('without a channel it says what is missing', () => {
  assert.throws(() => readConfig({}, SCRIPT, 'en'), /data-channel-id is missing/);
});

test('the receiver may be elsewhere', () => {
  assert.equal(readConfig({ channelId: 'a', host: 'https://api.example/x' }, SCRIPT, 'en').api, 'https://api.example/x/');
});

test('language brings texts and direction, each of which a page may change', () => {
  assert.equal(readConfig({ channelId: 'a' }, SCRIPT, 'de-AT').texts.send, 'Senden');
  assert.equal(readConfig({ channelId: 'a', language: 'ar' }, SCRIPT, 'de').direction, 'rtl');
  assert.equal(readConfig({ channelId: 'a', language: 'he-IL' }, SCRIPT, 'de').direction, 'rtl');
  assert.equal(readConfig({ channelId: 'a', language: 'fi' }, SCRIPT, 'de').texts.send, 'Send');
  const changed = readConfig({ channelId: 'a', title: 'Ask', texts: { send: 'Go', unknown: 'x', close: 7 } }, SCRIPT, 'en');
  assert.deepEqual([changed.texts.title, changed.texts.send, changed.texts.close], ['Ask', 'Go', 'Close chat']);
  assert.equal('unknown' in changed.texts, false);
});

test('every language has every text', () => {
  const keys = Object.keys(textsFor('en'));
  for (const language of ['de', 'es', 'fr', 'ar']) {
    assert.deepEqual(Object.keys(textsFor(language)), keys);
    assert.ok(Object.values(textsFor(language)).every(Boolean));
  }
});

test('left and right are meant as they are said', () => {
  const position = (/** @type {string} */ position, /** @type {string} */ language) =>
    readConfig({ channelId: 'a', position, language }, SCRIPT, 'en').position;

  assert.deepEqual([position('left', 'en'), position('right', 'en')], ['start', 'end']);
  assert.deepEqual([position('left', 'ar'), position('right', 'ar')], ['end', 'start']);
  assert.deepEqual([position('start', 'ar'), position('nowhere', 'en')], ['start', 'end']);
});

test('only a colour is taken for a colour', () => {
  const color = (/** @type {any} */ value) => readConfig({ channelId: 'a', color: value }, SCRIPT, 'en').color;

  assert.equal(color('#F5C'), '#ff55cc');
  assert.equal(color('#00aa11'), '#00aa11');
  for (const nonsense of ['red', '#12', '#00aa11;display:none', null]) assert.equal(color(nonsense), '#3454d1');
});

test('text on any accent colour can be read', () => {
  for (let value = 0; value < 0x1000000; value += 0x10307) {
    const color = `#${value.toString(16).padStart(6, '0')}`;
    assert.ok(contrast(color, inkOn(color)) >= 4.5, color);
  }
});

test('quick replies come as titles or with payloads, and as JSON in an attribute', (context) => {
  const warned = context.mock.method(console, 'warn', () => {});
  const replies = (/** @type {any} */ value) => readConfig({ channelId: 'a', quickReplies: value }, SCRIPT, 'en').quickReplies;

  assert.deepEqual(replies(undefined), []);
  assert.deepEqual(replies(['Yes', { title: 'No', payload: 'n' }]), [
    { title: 'Yes', payload: 'Yes' },
    { title: 'No', payload: 'n' },
  ]);
  assert.deepEqual(replies('[{"title":"No"}]'), [{ title: 'No', payload: 'No' }]);
  assert.deepEqual(replies('nonsense'), []);
  assert.equal(warned.mock.callCount(), 1);
});
