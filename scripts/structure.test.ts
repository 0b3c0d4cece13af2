import { describe, expect, it } from 'vitest';
import { checkStructure } from './structure.ts';

const DOOR = '/** What it is. */\n';

/** A small house that breaks no rule. */
const clean: Record<string, string> = {
  'src/std/index.ts': `${DOOR}export const one = 1;\n`,
  'src/model/index.ts': `${DOOR}import { one } from '../std/index.ts';\nexport const two = one + 1;\n`,
  'src/wire/x509/index.ts': `${DOOR}import { two } from '../../model/index.ts';\nexport const three = two + 1;\n`,
  'src/store/index.ts': `${DOOR}export const store = 1;\n`,
  'src/authority/index.ts': `${DOOR}import { three } from '../wire/x509/index.ts';\nexport const four = three;\n`,
  'src/authority/keystores/disk/index.ts': `${DOOR}export const member = 1;\n`,
  'src/authority/keystores/memory/index.ts': `${DOOR}export const member = 2;\n`,
  'src/authority/keystores/registry.generated.ts':
    "import { member as disk } from './disk/index.ts';\nexport const keystores = [disk];\n",
  'src/app/server.ts':
    "import { keystores } from '../authority/keystores/registry.generated.ts';\nexport const all = keystores;\n",
};

function rulesBrokenBy(files: Record<string, string>): string[] {
  return checkStructure(new Map(Object.entries({ ...clean, ...files }))).map((finding) => finding.rule);
}

describe('the structure check', () => {
  it('has nothing to say of a clean house', () => {
    expect(rulesBrokenBy({})).toEqual([]);
  });

  it.each<[string, string, Record<string, string>]>([
    [
      'direction',
      'an import against the table',
      { 'src/model/up.ts': "import { store } from '../store/index.ts';\nexport const x = store;\n" },
    ],
    [
      'direction',
      'a type import against the table',
      { 'src/model/up.ts': "import type { Store } from '../store/index.ts';\nexport type X = Store;\n" },
    ],
    [
      'direction',
      'a dynamic import against the table',
      { 'src/model/up.ts': "export const x = () => import('../store/index.ts');\n" },
    ],
    ['direction', 'a folder that is not in the table', { 'src/misc/index.ts': `${DOOR}export const x = 1;\n` }],
    [
      'direction',
      'an sdk that depends on a package',
      { 'sdk/src/identity/x.ts': "import pino from 'pino';\nexport const x = pino;\n" },
    ],
    [
      'cycle',
      'two files that import each other',
      {
        'src/std/a.ts': "import { b } from './b.ts';\nexport const a = () => b;\n",
        'src/std/b.ts': "import { a } from './a.ts';\nexport const b = () => a;\n",
      },
    ],
    [
      'door',
      'an import past a door',
      { 'src/app/x.ts': "import { y } from '../store/inside.ts';\nexport const x = y;\n" },
    ],
    [
      'door',
      'an import past a codec door',
      { 'src/rpc/index.ts': `${DOOR}import { y } from '../wire/x509/inside.ts';\nexport const x = y;\n` },
    ],
    [
      'door',
      'an import past the doors of app',
      { 'src/cli/x.ts': "import { y } from '../app/health/conditions.ts';\nexport const x = y;\n" },
    ],
    [
      'door',
      'a file of app beside its doors, which is none',
      { 'src/cli/x.ts': "import { y } from '../app/errors.ts';\nexport const x = y;\n" },
    ],
    ['door', 'a feature without a door', { 'src/ledger/segments/append.ts': 'export const x = 1;\n' }],
    ['door', 'a door without a comment', { 'src/store/index.ts': 'export const store = 1;\n' }],
    [
      'sibling',
      'a member that knows its sibling',
      {
        'src/authority/keystores/disk/index.ts':
          "import { member as other } from '../memory/index.ts';\nexport const member = other;\n",
      },
    ],
    [
      'registry',
      'a registry read below app',
      {
        'src/authority/x.ts':
          "import { keystores } from './keystores/registry.generated.ts';\nexport const x = keystores;\n",
      },
    ],
    [
      'registry',
      'the registry of what agents load, read by another',
      {
        'src/gateway/protocols/local-registry.generated.ts': 'export const localProtocols = [];\n',
        'src/gateway/index.ts': `${DOOR}export const gateway = 1;\n`,
        'src/app/dev.ts':
          "import { localProtocols } from '../gateway/protocols/local-registry.generated.ts';\nexport const x = localProtocols;\n",
      },
    ],
    [
      'half',
      'an agent’s half that knows its gateway’s half',
      {
        'src/gateway/protocols/lines/parse.ts': 'export const parse = 1;\n',
        'src/gateway/protocols/lines/local.ts': "import { parse } from './parse.ts';\nexport const local = parse;\n",
        'src/gateway/index.ts': `${DOOR}export const gateway = 1;\n`,
      },
    ],
    [
      'agent',
      'an agent that loads the gateway by way of another file',
      {
        'src/gateway/index.ts': `${DOOR}export const gateway = 1;\n`,
        'src/app/health/checks.ts':
          "import { gateway } from '../../gateway/index.ts';\nexport const checks = gateway;\n",
        'src/app/agent.ts': "import { checks } from './health/checks.ts';\nexport const agent = checks;\n",
      },
    ],
    ['pure', 'a socket in wire', { 'src/wire/x509/io.ts': "import net from 'node:net';\nexport const x = net;\n" }],
    [
      'pure',
      'a file in policy',
      { 'src/policy/index.ts': `${DOOR}import { readFileSync } from 'node:fs';\nexport const x = readFileSync;\n` },
    ],
    ['size', 'a file over 700 lines', { 'src/std/long.ts': 'export const x = 1;\n'.repeat(701) }],
    ['size', 'a file over 400 lines without a reason', { 'src/std/long.ts': 'export const x = 1;\n'.repeat(401) }],
    ['banned', 'the clock', { 'src/store/now.ts': 'export const now = () => Date.now();\n' }],
    ['banned', 'chance', { 'src/store/dice.ts': 'export const dice = () => Math.random();\n' }],
    [
      'banned',
      'randomness for secrets',
      {
        'src/store/dice.ts': "import { randomBytes } from 'node:crypto';\nexport const dice = () => randomBytes(1);\n",
      },
    ],
    [
      'banned',
      'signals that are tied by weak references',
      { 'src/store/tie.ts': 'export const tie = (a: AbortSignal, b: AbortSignal) => AbortSignal.any([a, b]);\n' },
    ],
    [
      'banned',
      'a listener that another signal is to take away',
      {
        'src/store/hear.ts':
          "export const hear = (on: AbortSignal, run: () => void, signal: AbortSignal) => {\n  on.addEventListener('abort', run, {\n    once: true,\n    signal,\n  });\n};\n",
      },
    ],
    [
      'banned',
      'a bound of its own on the time of a test',
      { 'src/store/slow.test.ts': "it('is slow', async () => {\n  await slow();\n}, 60_000);\n" },
    ],
    [
      'banned',
      'such a bound among the options of a test',
      { 'src/store/slow.test.ts': "it('is slow', { retry: 1, timeout: LONG_MS }, async () => {});\n" },
    ],
    [
      'banned',
      'such a bound on a line of its own',
      {
        'src/store/slow.test.ts': "it(\n  'is slow',\n  async () => {\n  },\n  isWhole ? 3_600_000 : undefined,\n);\n",
      },
    ],
    [
      'banned',
      'such a bound behind a test',
      { 'src/store/slow.test.ts': "it(\n  'is slow',\n  async () => {},\n  timeout,\n);\n" },
    ],
    [
      'banned',
      'a look at all that its process holds, beside others',
      { 'src/store/held.test.ts': "expect(queryObjects(Store, { format: 'count' })).toBe(0);\n" },
    ],
    [
      'banned',
      'a wait of a second at most',
      { 'src/store/slow.test.ts': 'await vi.waitFor(() => expect(open).toBe(0));\n' },
    ],
    [
      'banned',
      'a bound of its own in a test of the whole product',
      { 'test/scenarios/slow.test.ts': "it('is slow', { timeout: 60_000 }, async () => {});\n" },
    ],
    ['banned', 'a whole collection of garbage, beside others', { 'src/store/held.test.ts': 'globalThis.gc?.();\n' }],
    [
      'banned',
      'a look at the descriptors of its process, beside others',
      { 'src/store/held.test.ts': "const open = readdirSync('/proc/self/fd').length;\n" },
    ],
    ['banned', 'a timer', { 'src/store/wait.ts': 'export const wait = () => setTimeout(() => {}, 1);\n' }],
    [
      'banned',
      'a listener for one error only',
      { 'src/store/hear.ts': "export const hear = (s: Socket) => s.on('error', () => {}).once('error', () => {});\n" },
    ],
    [
      'banned',
      'letting go of all listeners',
      { 'src/store/let-go.ts': "export const letGo = (s: Socket) => s.removeAllListeners('error');\n" },
    ],
    ['banned', "the driver's own client", { 'src/store/db.ts': 'export const open = () => new pg.Client({});\n' }],
    [
      'banned',
      "the driver's pool of its own clients",
      { 'src/store/db.ts': 'export const open = () => new pg.Pool({});\n' },
    ],
    [
      'emitter',
      'a socket whose errors nobody hears',
      {
        'src/store/call.ts':
          "import { connect, type Socket } from 'node:net';\nexport const call = () => connect(1);\n",
      },
    ],
    [
      'banned',
      'a word of one protocol in shared code',
      { 'src/gateway/limits.ts': "export const action = 'postgres:select';\n", 'src/gateway/index.ts': `${DOOR}\n` },
    ],
    [
      'shelf',
      'a folder with too many files',
      Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`src/std/one-${i}.ts`, `export const x${i} = 1;\n`])),
    ],
    ['banned', 'the console', { 'src/store/say.ts': "export const say = () => console.log('x');\n" }],
  ])('catches %s: %s', (rule, _what, files) => {
    expect(rulesBrokenBy(files)).toContain(rule);
  });

  it.each<[string, Record<string, string>]>([
    [
      'a type-only cycle',
      {
        'src/std/a.ts': "import type { B } from './b.ts';\nexport type A = B;\n",
        'src/std/b.ts': "import type { A } from './a.ts';\nexport type B = A;\n",
      },
    ],
    [
      'a long file with its reason',
      { 'src/std/long.ts': `/** Long because it is one table. */\n${'export const x = 1;\n'.repeat(450)}` },
    ],
    [
      'a test of the whole product that looks at its process',
      { 'test/scenarios/held.test.ts': "const own = readFileSync('/proc/self/cgroup');\n" },
    ],
    [
      'a test alone that looks at its process',
      { 'src/store/held.alone.test.ts': "gc();\nconst open = readdirSync('/proc/self/fd').length;\n" },
    ],
    [
      'a time-out that is no bound of a test',
      { 'src/store/slow.test.ts': "const sent = { 'grpc-timeout': '1S', statement_timeout: '1s' };\n" },
    ],
    ['the clock in a test', { 'src/store/now.test.ts': 'export const now = () => Date.now();\n' }],
    [
      'a socket that is only named',
      {
        'src/store/socket.ts':
          "import { isIP, type Socket } from 'node:net';\nexport const x = (s: Socket) => isIP(s);\n",
      },
    ],
    ['a banned word in a comment', { 'src/store/now.ts': '// Not Date.now(): it jumps.\nexport const now = 1;\n' }],
    ['a door of app', { 'src/cli/x.ts': "import { y } from '../app/health/clock-check.ts';\nexport const x = y;\n" }],
    ['the clock in std', { 'src/std/clock.ts': 'export const now = () => Date.now();\n' }],
  ])('lets %s pass', (_what, files) => {
    expect(rulesBrokenBy(files)).toEqual([]);
  });
});
