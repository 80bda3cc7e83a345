/**
 * @param {string} color `#rrggbb`
 * @returns {string} black or white: what is read well on that colour (at least 4.5 to 1)
 */
export function inkOn(color) {
  return contrast(color, '#ffffff') >= 4.5 ? '#ffffff' : '#000000';
}

/**
 * @param {string} one
 * @param {string} other
 * @returns {number} from 1 to 21, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
 */
export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (Number(light) + 0.05) / (Number(dark) + 0.05);
}

/** @param {string} color */
function luminance(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const channel = parseInt(color.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * Number(red) + 0.7152 * Number(green) + 0.0722 * Number(blue);
}
