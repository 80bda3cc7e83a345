/** Build the widget: one file, from the sources and the versions in the lock file alone. */
import { build, transform } from 'esbuild';
import { readFile } from 'node:fs/promises';

const TARGET = ['chrome100', 'edge100', 'firefox100', 'safari15.4'];

/** Styles as a string of minified CSS. */
const styles = {
  name: 'styles',
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, 'utf8'), { loader: 'css', minify: true, target: TARGET });
      return { contents: code.trim(), loader: 'text' };
    });
  },
};

await build({
  entryPoints: [new URL('src/main.js', import.meta.url).pathname],
  outfile: process.argv[2] ?? new URL('../static/s.js', import.meta.url).pathname,
  bundle: true,
  minify: true,
  format: 'iife',
  charset: 'utf8',
  legalComments: 'none',
  target: TARGET,
  plugins: [styles],
});
