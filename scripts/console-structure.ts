/** The structure rules of the console, as a pure function over its files; scripts/structure.ts has those of all else. */
import { posix } from 'node:path';
import { type Finding, importsOf } from './structure.ts';

/** Folder of console/src → those that it may import, each through its `index.ts`. */
const EDGES: Readonly<Record<string, readonly string[]>> = {
  api: [],
  ui: [],
  page: [],
  features: ['api', 'ui', 'page'],
  app: ['api', 'ui', 'page'],
};

/** Checks `files` (path → text; those of console/src). */
export function checkConsole(files: ReadonlyMap<string, string>): Finding[] {
  const sources = [...files].filter(([file]) => /^console\/src\/.*\.tsx?$/.test(file) && !/\.test\.tsx?$/.test(file));
  return sources.flatMap(([file, text]) => [
    ...importsOf(file, text).flatMap(({ target }) => checkEdge(file, target)),
    ...checkBanned(file, text),
    ...(text.split('\n').length > FILE_LINES_MAX
      ? [{ rule: 'size', file, message: `more than ${FILE_LINES_MAX} lines` }]
      : []),
  ]);
}

function checkEdge(file: string, target: string): Finding[] {
  const say = (message: string): Finding[] => [{ rule: 'console', file, message }];
  const [home = '', own = ''] = file.slice(ROOT.length).split('/');
  if (target.startsWith('node:')) return say(`a browser has no ${target}`);
  if (target.startsWith('@countersign/')) {
    if (target === '@countersign/sdk/browser' && home === 'api') return [];
    return say(`only api reaches the product, by @countersign/sdk/browser: not ${target}`);
  }
  if (!/^(?:console|src|sdk|scripts|test)\//.test(target)) return [];
  if (!target.startsWith(ROOT)) return say(`the console can't import ${target}`);
  const [goal = '', theirs = ''] = target.slice(ROOT.length).split('/');
  const rule = EDGES[home];
  // main.tsx starts it all.
  if (rule === undefined) return home.startsWith('main.') ? [] : say(`${home} is no folder of the console`);
  if (goal === home) {
    const isOther = home === 'features' && own !== theirs;
    return isOther ? say(`the feature ${own} may not know its sibling ${theirs}`) : [];
  }
  if (!rule.includes(goal)) return say(`${home} may not import ${goal} (${target})`);
  return target === posix.join(ROOT, goal, 'index.ts') ||
    target === posix.join(ROOT, goal, 'table/index.ts') ||
    target === posix.join(ROOT, goal, 'chart/index.ts')
    ? []
    : say(`${target} is inside ${goal}; import its door instead`);
}

function checkBanned(file: string, text: string): Finding[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1');
  return BANNED.flatMap(([pattern, instead, but]) => {
    const match = but?.test(file) === true ? null : code.match(pattern);
    return match === null ? [] : [{ rule: 'banned', file, message: `${match[0].trim()}: ${instead}` }];
  });
}

const ROOT = 'console/src/';
const FILE_LINES_MAX = 400;
/** What is banned, what stands in its place, and where it is allowed. */
const BANNED: readonly (readonly [RegExp, string, RegExp?])[] = [
  [
    /\b(?:dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|srcdoc|document\.write)\b|\beval\(|\bnew Function\(|javascript:/,
    'a text of a stranger would be taken for markup or code; React makes texts of texts',
  ],
  [
    /\bfetch\(|\bnew (?:EventSource|XMLHttpRequest|WebSocket)\(|\bsendBeacon\(/,
    'the network is reached by src/api alone',
    /^console\/src\/api\//,
  ],
  [/<style[\s>]|<script[\s>]/, 'the policy of the page lets no inline style and no inline script in'],
  [/\bDate\.now\(|\bnew Date\(\)/, 'take the time from ui/now.ts', /^console\/src\/ui\/now\.ts$/],
  [/\bMath\.random\(/, 'use crypto'],
  [/\bconsole\.\w+\(/, 'show it: ErrorPanel, or a toast'],
];
