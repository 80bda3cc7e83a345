/**
 * When somebody is there to answer: `{"zone": "Europe/Berlin", "mon": "09:00-12:30,14:00-18:00", "sat": "10:00-14:00"}`.
 *
 * @typedef {{zone: string, days: Record<string, [number, number][]>}} Hours minutes of the day, from and until
 */

const DAY_MINUTES = 1440;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const RANGE = /^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$/;

/**
 * @param {any} value an object, or its JSON
 * @returns {Hours | null} null where there are none, or they cannot be read: then somebody is always there
 */
export function readHours(value) {
  if (!value) return null;
  try {
    const given = typeof value === 'string' ? JSON.parse(value) : value;
    const zone = String(given.zone);
    weekMinute(zone, new Date());
    const days = DAYS.map((day) => [day, String(given[day] ?? '').split(',').filter(Boolean).map(range)]);
    return { zone, days: Object.fromEntries(days) };
  } catch {
    console.warn('parley: office hours are not like {"zone": "Europe/Berlin", "mon": "09:00-17:00"}', value);
    return null;
  }
}

/**
 * @param {Hours | null} hours
 * @param {Date} moment
 * @returns {boolean} whether somebody is there
 */
export function isWithin(hours, moment) {
  if (!hours) return true;
  const { day, minute } = weekMinute(hours.zone, moment);
  const dayBefore = String(DAYS.at(DAYS.indexOf(day) - 1));
  return isIn(hours.days[day], minute) || isIn(hours.days[dayBefore], minute + DAY_MINUTES);
}

/**
 * @param {[number, number][] | undefined} ranges of a day; one that ends before it begins ends on the next
 * @param {number} minute since that day began
 */
function isIn(ranges, minute) {
  return (ranges ?? []).some(
    ([from, until]) => from <= minute && minute < (until < from ? until + DAY_MINUTES : until),
  );
}

/** @param {string} zone @param {Date} moment */
function weekMinute(zone, moment) {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const parts = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
  return { day: String(parts.weekday).toLowerCase(), minute: Number(parts.hour) * 60 + Number(parts.minute) };
}

/** @param {string} text @returns {[number, number]} */
function range(text) {
  const found = RANGE.exec(text.trim());
  if (!found) throw new Error(text);
  const [from, until] = [1, 3].map((at) => Number(found[at]) * 60 + Number(found[at + 1]));
  return [Number(from), Number(until)];
}
