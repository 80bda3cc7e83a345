/**
 * What a host page says about its chat: attributes of the script tag, and the global object `parley`.
 */
import { readHours } from './hours.js';
import { textsFor } from './texts.js';

/**
 * @typedef {{title: string, payload: string}} QuickReply
 * @typedef {object} Config
 * @property {string} channelId
 * @property {string} api the URL that the API's paths are relative to
 * @property {string} color the accent colour, `#rrggbb`
 * @property {'auto' | 'light' | 'dark'} theme
 * @property {'start' | 'end'} position
 * @property {string} language
 * @property {'ltr' | 'rtl'} direction
 * @property {QuickReply[]} quickReplies
 * @property {boolean} sound whether an answer is heard
 * @property {boolean} email whether visitors are asked for their address
 * @property {import('./hours.js').Hours | null} officeHours
 * @property {import('./texts.js').Texts} texts
 */

const DEFAULT_COLOR = '#3454d1';
const RTL = /^(ar|dv|fa|he|ku|ps|ur|yi)\b/i;

/**
 * @param {Record<string, any>} given attributes (`data-channel-id` is `channelId`) over global settings
 * @param {string} scriptUrl where the widget came from, hence where its API is
 * @param {string} language of the page, or else of the browser
 * @returns {Config}
 * @throws {Error} where no channel is named
 */
export function readConfig(given, scriptUrl, language) {
  if (!given.channelId) throw new Error('data-channel-id is missing');
  const spoken = String(given.language || language || 'en');
  const direction = oneOf(given.direction, ['ltr', 'rtl']) ?? (RTL.test(spoken) ? 'rtl' : 'ltr');
  return {
    channelId: String(given.channelId),
    api: new URL(given.host ? `${given.host}/` : '../../', given.host ? undefined : scriptUrl).href,
    color: hexColor(given.color) ?? DEFAULT_COLOR,
    theme: oneOf(given.theme, ['auto', 'light', 'dark']) ?? 'auto',
    position: place(given.position, direction),
    language: spoken,
    direction,
    quickReplies: quickReplies(given.quickReplies),
    sound: isOn(given.sound),
    email: isOn(given.email),
    officeHours: readHours(given.officeHours),
    texts: { ...textsFor(spoken), ...onlyTexts(given.texts), ...onlyTexts(given) },
  };
}

/**
 * @template {string} T
 * @param {any} value
 * @param {T[]} allowed
 */
function oneOf(value, allowed) {
  return allowed.find((word) => word === value);
}

/** @param {any} value */
function isOn(value) {
  return value === 'on' || value === true;
}

/** @param {any} value */
function hexColor(value) {
  const found = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(value ?? '')?.[1];
  if (!found) return undefined;
  return `#${found.length === 3 ? found.replace(/./g, '$&$&') : found}`.toLowerCase();
}

/**
 * @param {any} value
 * @param {'ltr' | 'rtl'} direction
 * @returns {'start' | 'end'}
 */
function place(value, direction) {
  const start = direction === 'rtl' ? 'right' : 'left';
  return value === 'start' || value === start ? 'start' : 'end';
}

/**
 * @param {any} value titles, or titles with payloads; as an attribute it is JSON
 * @returns {QuickReply[]}
 */
function quickReplies(value) {
  try {
    const list = typeof value === 'string' ? JSON.parse(value) : (value ?? []);
    return list.map((/** @type {any} */ each) => {
      const title = String(each.title ?? each);
      return { title, payload: String(each.payload ?? title) };
    });
  } catch {
    console.warn('parley: quick replies are not a list', value);
    return [];
  }
}

/**
 * @param {any} given
 * @returns {Partial<import('./texts.js').Texts>}
 */
function onlyTexts(given) {
  const known = Object.keys(textsFor('en'));
  return Object.fromEntries(known.filter((key) => typeof given?.[key] === 'string').map((key) => [key, given[key]]));
}
