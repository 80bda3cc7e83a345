import { inkOn } from './colour.js';
import { element } from './dom.js';
import styles from './styles.css';

/** The element's name, of which a page has one. */
export const HOST = 'parley-chat';

const KEYS = ['keydown', 'keypress', 'keyup'];

/**
 * Put the widget on the page, in a shadow tree that shares no styles with it.
 *
 * @param {import('./config.js').Config} config
 * @param {Node[]} children
 */
export function mount(config, ...children) {
  const root = element('div', { class: 'root', lang: config.language, dir: config.direction }, ...children);
  root.dataset.position = config.position;
  root.style.setProperty('--accent', config.color);
  root.style.setProperty('--ink', inkOn(config.color));
  followTheme(root, config.theme);

  const host = document.createElement(HOST);
  // What a visitor types is not for the page's keyboard shortcuts.
  for (const type of KEYS) host.addEventListener(type, (event) => event.stopPropagation());
  const shadow = host.attachShadow({ mode: 'open' });
  shadow.append(root);
  style(shadow);
  // Not into the body: one that is transformed would move the widget, and some pages replace theirs.
  document.documentElement.append(host);
}

/** @param {ShadowRoot} shadow */
function style(shadow) {
  if ('replaceSync' in CSSStyleSheet.prototype) {
    // Also where the page's content security policy allows no inline styles.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    shadow.adoptedStyleSheets = [sheet];
  } else {
    shadow.append(element('style', {}, styles));
  }
}

/**
 * @param {HTMLElement} root
 * @param {'auto' | 'light' | 'dark'} theme
 */
function followTheme(root, theme) {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const paint = () => {
    root.dataset.theme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
  };
  dark.addEventListener('change', paint);
  paint();
}
