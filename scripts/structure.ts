/**
 * The structure rules over a set of files, as a pure function: `checkStructure(files)` returns what is wrong, so a test can
 * plant each violation. Rules and their limits are constants at the end; tighten them, never loosen.
 */
import { posix } from 'node:path';
import {
  agentParts,
  appDoors,
  architecture,
  below,
  protocolsOwn,
  pureFolders,
  registryReaders,
} from './architecture.ts';
import { families } from './families.ts';

export interface Finding {
  readonly rule: string;
  readonly file: string;
  readonly message: string;
}

interface Import {
  readonly from: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

/** Checks `files` (repository-relative path → text; TypeScript files of src/, sdk/src/, scripts/ and test/). */
export function checkStructure(files: ReadonlyMap<string, string>): Finding[] {
  const sources = [...files].filter(([file]) => isSource(file));
  const imports = sources.flatMap(([file, text]) => importsOf(file, text));
  return [
    ...sources.flatMap(([file, text]) => checkSize(file, text)),
    ...sources.flatMap(([file, text]) => checkBanned(file, text, bannedIn(file))),
    ...[...files]
      .filter(([file]) => OTHER_TESTS.test(file))
      .flatMap(([file, text]) => checkBanned(file, text, bannedIn(file))),
    ...sources.filter(([file]) => !isTest(file)).flatMap(([file, text]) => checkEmitters(file, text)),
    ...imports.flatMap((edge) => checkEdge(edge)),
    ...checkUnlistedFolders(sources.map(([file]) => file)),
    ...checkCycles(imports.filter((edge) => !edge.typeOnly && !isTest(edge.from))),
    ...checkAgent(imports.filter((edge) => !edge.typeOnly && !isTest(edge.from))),
    ...checkDoors(files),
    ...checkShelves(sources.map(([file]) => file)),
  ];
}

/** Every import and re-export of a file; relative targets are resolved to repository paths. */
export function importsOf(file: string, text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    const target = specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(file), specifier)) : specifier;
    found.push({ from: file, target, typeOnly });
  };
  for (const [, type, specifier] of code.matchAll(STATIC_IMPORT)) add(specifier ?? '', type !== undefined);
  for (const [, specifier] of code.matchAll(DYNAMIC_IMPORT)) add(specifier ?? '', false);
  return found;
}

function checkEdge({ from, target, typeOnly }: Import): Finding[] {
  if (isTest(from)) return [];
  const home = folderOf(from);
  const rule = architecture[home]?.[1];
  if (!rule) return [];
  const findings: Finding[] = [];
  const say = (name: string, message: string) => findings.push({ rule: name, file: from, message });
  if (pureFolders.includes(home) && IO_MODULES.test(target) && !typeOnly)
    say('pure', `${home} does no I/O, so it can't import ${target}`);
  const goal = target.startsWith('@countersign/sdk/')
    ? 'sdk'
    : target.startsWith('src/') || target.startsWith('sdk/')
      ? folderOf(target)
      : undefined;
  if (goal === undefined) {
    if (home === 'sdk' && !target.startsWith('@bufbuild/protobuf') && !target.startsWith('node:'))
      say('direction', `sdk depends on nothing of others, so it can't import ${target}`);
    return findings;
  }
  if (goal !== home && !rule.includes('*') && !rule.includes(goal))
    say('direction', `${home} may not import ${goal} (${target}); allowed: ${rule.join(', ') || 'nothing'}`);
  if (goal !== home && target.startsWith('src/') && !isDoor(target, goal))
    say('door', `${target} is inside ${goal}; import its door instead`);
  if (target === agentParts.registry && !agentParts.readers.includes(from))
    say('registry', `only ${agentParts.readers.join(' and ')} read it; pass the halves in`);
  if (target.endsWith('registry.generated.ts') && !registryReaders.includes(home))
    say('registry', `only ${registryReaders.join(' and ')} read registries; pass the members in`);
  if (agentParts.half.test(from) && !below.includes(goal))
    say('half', `an agent loads it without the gateway, so it can't import ${target}; allowed: ${below.join(', ')}`);
  const [mine, theirs] = [memberOf(from), memberOf(target)];
  if (mine && theirs && mine !== theirs) say('sibling', `${mine} may not know its sibling ${theirs}`);
  return findings;
}

/** A feature's door is its index.ts; wire has one a codec, app those that are listed; who may read registries is another rule. */
function isDoor(target: string, goal: string): boolean {
  if (/[/-]registry\.generated\.ts$/.test(target)) return true;
  if (goal === 'app') return appDoors.includes(target);
  if (goal === 'wire') return /^src\/wire\/[^/]+\/index\.ts$/.test(target);
  return target === `src/${goal}/index.ts`;
}

function checkUnlistedFolders(files: readonly string[]): Finding[] {
  const unlisted = new Map<string, string>();
  for (const file of files) if (!architecture[folderOf(file)]) unlisted.set(folderOf(file), file);
  return [...unlisted].map(([folder, file]) => ({
    rule: 'direction',
    file,
    message: `${folder} is not in scripts/architecture.ts`,
  }));
}

/** What an agent loads of the gateway at run time, at whatever distance. */
function checkAgent(imports: readonly Import[]): Finding[] {
  const reached = new Set<string>([agentParts.root]);
  const findings: Finding[] = [];
  for (const file of reached) {
    for (const { from, target } of imports) {
      if (from !== file || reached.has(target)) continue;
      const isAllowed = target === agentParts.registry || agentParts.half.test(target);
      if (!target.startsWith('src/gateway/') || isAllowed) reached.add(target);
      else
        findings.push({ rule: 'agent', file: from, message: `an agent would load ${target}, which is the gateway's` });
    }
  }
  return findings;
}

/** Run-time import cycles, one finding for each strongly connected group. */
function checkCycles(imports: readonly Import[]): Finding[] {
  const graph = new Map<string, string[]>();
  for (const { from, target } of imports) {
    const to = sdkFile(target);
    graph.set(from, [...(graph.get(from) ?? []), to]);
  }
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const findings: Finding[] = [];
  const visit = (node: string): void => {
    order.set(node, order.size);
    low.set(node, order.get(node) ?? 0);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? 0, low.get(next) ?? 0));
    }
    if (low.get(node) !== order.get(node)) return;
    const group = stack.splice(stack.indexOf(node));
    const selfImport = group.length === 1 && (graph.get(node) ?? []).includes(node);
    if (group.length > 1 || selfImport)
      findings.push({
        rule: 'cycle',
        file: node,
        message: `import each other at run time: ${group.toSorted().join(', ')}`,
      });
  };
  for (const node of graph.keys()) if (!order.has(node)) visit(node);
  return findings;
}

function checkSize(file: string, text: string): Finding[] {
  if (file.endsWith('.generated.ts') || file.startsWith('sdk/src/contract/gen/')) return [];
  const lines = text.split('\n').length - 1;
  if (lines > FILE_LINES_MAX) return [{ rule: 'size', file, message: `${lines} lines; at most ${FILE_LINES_MAX}` }];
  if (lines > FILE_LINES_EXPLAINED && !isTest(file) && !text.slice(0, 2000).includes('Long because')) {
    return [
      {
        rule: 'size',
        file,
        message: `${lines} lines; over ${FILE_LINES_EXPLAINED} its first comment says "Long because …"`,
      },
    ];
  }
  return [];
}

/** A folder with more is a heap: what belongs together gets a folder of its own. */
function checkShelves(files: readonly string[]): Finding[] {
  const counts = new Map<string, number>();
  for (const file of files) {
    if (/\.(test|fuzz|bench|generated)\.ts$/.test(file) || file.startsWith('sdk/src/contract/gen/')) continue;
    const folder = posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts].flatMap(([file, count]) => {
    const message = `${count} source files at one level; at most ${FILES_A_LEVEL_MAX}: group what belongs together`;
    return count > FILES_A_LEVEL_MAX ? [{ rule: 'shelf', file, message }] : [];
  });
}

function checkBanned(file: string, text: string, banned: typeof BANNED): Finding[] {
  if (file.startsWith('src/std/') || file.startsWith('sdk/src/contract/gen/')) return [];
  const code = withoutComments(text);
  return banned.flatMap(([pattern, instead]) => {
    const match = code.match(pattern);
    return match ? [{ rule: 'banned', file, message: `${match[0].trim()}: ${instead}` }] : [];
  });
}

/** Whoever makes something that may fail at any moment listens for that for ever: one failure without a listener ends the process. */
function checkEmitters(file: string, text: string): Finding[] {
  const code = withoutComments(text);
  const made = [...code.matchAll(EMITTER_IMPORT)].flatMap(([, names]) => names?.match(EMITTER_MAKERS) ?? []);
  if (made.length === 0 || /\.on\(\s*'error'/.test(code)) return [];
  return [{ rule: 'emitter', file, message: `makes something by ${made.join(', ')}, without .on('error', …)` }];
}

/** Each feature folder has a door, and the door opens with a comment that says what the folder is. */
function checkDoors(files: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  for (const folder of new Set(
    [...files.keys()].filter((file) => /^src\/[^/]+\//.test(file) && isSource(file)).map(folderOf),
  )) {
    if (['wire', 'cli', 'app'].includes(folder)) continue;
    const door = files.get(`src/${folder}/index.ts`);
    if (door === undefined) findings.push({ rule: 'door', file: `src/${folder}`, message: 'has no index.ts' });
    else if (!door.startsWith('/**'))
      findings.push({
        rule: 'door',
        file: `src/${folder}/index.ts`,
        message: 'opens with a comment: what it is, what it promises, what it must not know',
      });
  }
  return findings;
}

/** Source text without comments; strings stay (a comment marker inside a string is rare and only hides code from the rules' view of that line). */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1');
}

function folderOf(file: string): string {
  const parts = file.split('/');
  return parts[0] === 'sdk' ? 'sdk' : (parts[1] ?? '');
}

/** The member folder that a file belongs to, such as `src/authority/keystores/disk`. */
function memberOf(file: string): string | undefined {
  for (const { folder } of families) {
    if (!file.startsWith(`${folder}/`)) continue;
    const [member, rest] = file.slice(folder.length + 1).split('/');
    if (rest !== undefined) return `${folder}/${member}`;
  }
  return undefined;
}

function sdkFile(target: string): string {
  if (!target.startsWith('@countersign/sdk/')) return target;
  const path = target.slice('@countersign/sdk/'.length);
  return path.startsWith('contract/') ? `sdk/src/${path}` : `sdk/src/${path}/index.ts`;
}

function isSource(file: string): boolean {
  return /^(src|sdk\/src)\/.*\.ts$/.test(file);
}

function isTest(file: string): boolean {
  return /\.(test|fuzz|bench)\.ts$/.test(file) || /\/(testdata|testing)\//.test(file);
}

function bannedIn(file: string): typeof BANNED {
  if (!isTest(file)) return protocolsOwn.test(file) ? BANNED : [...BANNED, ...BANNED_IN_SHARED];
  return WITHOUT_OTHERS.test(file) ? BANNED_IN_TESTS : [...BANNED_IN_TESTS, ...BANNED_IN_SHARED_TESTS];
}

const STATIC_IMPORT = /(?:^|[\n;])\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/g;
const DYNAMIC_IMPORT = /\bimport\(\s*'([^']+)'\s*\)/g;
const IO_MODULES =
  /^(node:)?(net|tls|http|https|http2|fs|fs\/promises|child_process|dns|dgram|worker_threads|cluster|timers|readline|repl)(\/.*)?$|^(pg|koffi|pino|kysely|node:sqlite)$/;
const BANNED: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, 'take the time from deps.clock'],
  [/\bMath\.random\(|\brandomBytes\(|\brandomUUID\(|\brandomInt\(|\bgetRandomValues\(/, 'take chance from deps.random'],
  [
    /\bAbortSignal\.any\(|\.addEventListener\((?:[^;]*,)?\s*\{[^}]*\bsignal\s*[:,}]/,
    'use followAbort: Node ties these by weak references, and keeps for good what a collection comes across',
  ],
  [/\bsetTimeout\(|\bsetInterval\(/, 'use deps.clock.after or sleep'],
  [/\.once\(\s*'error'/, 'use on: what fails twice would end the process'],
  [/\.removeAllListeners\(\s*(?:'error')?\s*\)/, 'without a listener for errors, one ends the process'],
  [
    /\bnew pg\.Client\(|(?<!\bClient\b[\s\S]*)\bnew pg\.Pool\(/,
    "use the store's Client, which always has a listener for errors",
  ],
  [/\bconsole\.\w+\(/, 'use the injected log, or the output of the command line'],
];
/** What only one protocol means. Help texts of commands may have examples of it. */
const BANNED_IN_SHARED: typeof BANNED = [
  [
    /(?<![Ss]uch as )\bpostgres:[a-z]|\bPostgres::|\bPG[A-Z]{3,}\b|['"`]psql['"`]|\.s\.PGSQL\b|\bsqlstate\b/,
    'a word of one protocol: let its member say it (local.ts, its schema, its path)',
  ],
];
const BANNED_IN_TESTS: typeof BANNED = [
  [
    /^ *\}, \d[\d_]*\);$|^ *\},\n[^\n{]*\d_\d{3}[^\n{]*,\n *\);|\btestTimeout\b|\.poll\([^;]*\btimeout:|[{,]\s*timeout\s*[:,}]|\bvi\.wait(?:For|Until)\(/m,
    'leave the bound to vitest.config.ts, and wait by `eventually`: a shorter one fails on a machine with much else to do',
  ],
];
const BANNED_IN_SHARED_TESTS: typeof BANNED = [
  [
    /\bvi\.mock\(|\.rss\b|\bgetActiveResourcesInfo\(|\bqueryObjects\(|\bgc\??\.?\(|\/proc\/self\/(?!fd\/\$\{)/,
    'name the file *.alone.test.ts: the others share what they have loaded, and their memory',
  ],
];
/** Tests outside the sources; not the one that plants what is banned. */
const OTHER_TESTS = /^(?:scripts|test)\/(?!structure\.test\.ts$).*\.test\.ts$/;
/** Tests that vitest.config.ts gives a process of their own. */
const WITHOUT_OTHERS = /\.alone\.test\.ts$|^test\/(?:scenarios|docs|interop|foreign)\//;
const EMITTER_IMPORT =
  /\bimport\s+\{([^}]*)\}\s+from\s+'node:(?:net|tls|http|https|http2|child_process|worker_threads)'/g;
/** Not `type Socket`: only what is imported to be called. */
const EMITTER_MAKERS =
  /(?<!type )\b(?:connect|createConnection|createServer|createSecureServer|performServerHandshake|Socket|TLSSocket|Worker|fork|spawn)\b/g;
const FILE_LINES_MAX = 700;
const FILES_A_LEVEL_MAX = 20;
const FILE_LINES_EXPLAINED = 400;
