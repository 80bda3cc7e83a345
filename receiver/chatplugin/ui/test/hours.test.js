import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { isWithin, readHours } from '../src/hours.js';

const HOURS = { zone: 'Europe/Berlin', mon: '09:00-12:30, 14:00-18:00', sun: '22:00-24:00' };

test('somebody is there within the hours of the place, whatever the visitor has', () => {
  for (const hours of [readHours(HOURS), readHours(JSON.stringify(HOURS))]) {
    const at = (/** @type {string} */ moment) => isWithin(hours, new Date(moment));
    assert.deepEqual(
      // Winter, an hour before UTC; then summer, two.
      ['2026-11-30T07:59Z', '2026-11-30T08:00Z', '2026-11-30T11:29Z', '2026-11-30T11:30Z', '2026-11-30T13:00Z'].map(at),
      [false, true, true, false, true],
    );
    assert.deepEqual(['2026-07-06T07:00Z', '2026-07-06T16:00Z', '2026-07-07T09:00Z'].map(at), [true, false, false]);
    assert.deepEqual(['2026-11-29T22:59Z', '2026-11-29T23:00Z'].map(at), [true, false]);
  }
});

test('hours that begin before midnight may end after it', () => {
  const hours = readHours({ zone: 'UTC', sat: '20:00-02:30', sun: '22:00-24:00' });
  const at = (/** @type {string} */ moment) => isWithin(hours, new Date(moment));

  assert.deepEqual(
    ['28T19:59Z', '28T20:00Z', '29T02:29Z', '29T02:30Z', '28T01:00Z', '29T20:00Z', '30T00:00Z'].map((day) => at(`2026-11-${day}`)),
    [false, true, true, false, false, false, false],
  );
});

test('without hours, or with what are none, somebody is always there', () => {
  const warn = mock.method(console, 'warn', () => {});
  for (const given of [undefined, '', '{', '[]', 'x', { mon: '09:00-17:00' }, { zone: 'Mars' }, { zone: 'UTC', mon: '9-17' }]) {
    assert.equal(isWithin(readHours(given), new Date()), true, JSON.stringify(given));
  }
  assert.equal(warn.mock.callCount(), 6);
  warn.mock.restore();
});
