import { cpSync, globSync, readFileSync, rmSync } from 'node:fs';
import * as path from 'node:path';
import { type DefaultTheme, defineConfig } from 'vitepress';
import { sourceLinks } from './source-links.ts';

// The documents as they lie in the checkout: none is written for the site. Its pages are copies of those that PAGES names, since Vite wants them below
// its own folder; a link from one to a page that is not there fails the build.

const root = path.join(import.meta.dirname, '../..');
const PAGES = ['README.md', 'ARCHITECTURE.md', 'docs/**/*.md', 'src/gateway/protocols/*/README.md', 'sdk/README.md'];
const pages = globSync(PAGES, { cwd: root });
const copies = path.join(import.meta.dirname, '../pages');
rmSync(copies, { recursive: true, force: true });
for (const page of pages) cpSync(path.join(root, page), path.join(copies, page));

export default defineConfig({
  title: 'Countersign',
  description: 'Every server-to-server call verified, authorised and logged; its secrets never leak.',
  srcDir: copies,
  rewrites: { 'README.md': 'index.md' },
  outDir: path.join(root, '.cache/site'),
  cacheDir: path.join(root, '.cache/site-cache'),
  cleanUrls: false,
  lastUpdated: false,
  markdown: { languageAlias: { cedar: 'rust' }, config: (md) => sourceLinks(md, { copies, pages }) },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/docs/guide/first-target' },
      { text: 'Reference', link: '/docs/reference/config' },
      { text: 'Security', link: '/docs/security' },
      { text: 'Architecture', link: '/ARCHITECTURE' },
    ],
    sidebar: [
      { text: 'Countersign', link: '/' },
      group('Guide', 'docs/guide/*.md', [
        'first-target',
        'policies',
        'postgres',
        'http',
        'api',
        'record',
        'stop',
        'servers',
        'operations',
      ]),
      group('Languages', 'docs/guide/languages/*.md'),
      group('Reference', 'docs/reference/*.md'),
      group('Protocols', 'src/gateway/protocols/*/README.md'),
      group(
        'Internals',
        '{ARCHITECTURE.md,docs/life-of-a-request.md,docs/divergences.md,docs/dependencies.md,docs/internals/*.md}',
      ),
      { text: 'Security', link: '/docs/security' },
      { ...group('Decisions', 'docs/decisions/*.md'), collapsed: true },
    ],
  },
});

/** Those of a folder, by their own headings; `first`: names of files, in the order of reading, before all others. */
function group(text: string, pattern: string, first: readonly string[] = []): DefaultTheme.SidebarItem {
  const rank = (page: string) => {
    const at = first.indexOf(path.basename(page, '.md'));
    return at < 0 ? first.length : at;
  };
  const found = globSync(pattern, { cwd: root }).toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  return {
    text,
    collapsed: false,
    items: found.map((page) => ({ text: heading(page), link: `/${page.replace(/\.md$/, '')}` })),
  };
}

function heading(page: string): string {
  const text = readFileSync(path.join(root, page), 'utf8');
  return /^# (.*)$/m.exec(text)?.[1]?.replaceAll('`', '') ?? page;
}
