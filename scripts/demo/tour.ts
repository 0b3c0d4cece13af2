import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiReport, askApi, showApi } from './api-steps.ts';
import { type Stage, writeResources } from './stage.ts';
import { type Shown, StepFailed } from './teller.ts';

interface Step {
  readonly name: string;
  readonly title: string;
  run(): Promise<Shown>;
}

interface ClientReport {
  readonly rows?: readonly { readonly name: string; readonly ssn: string; readonly city: string }[];
  readonly denied?: { readonly code: string; readonly message: string; readonly detail?: string };
  readonly after?: readonly { readonly count: number }[];
  readonly error?: string;
  readonly received: string;
}

interface Entry {
  readonly seq: number;
  readonly kind: string;
  readonly actor: string;
  readonly action: string;
  readonly detail: { readonly policies?: readonly string[]; readonly items?: number; readonly code?: string };
}

/** The tour, step by step. Each step checks what it shows and throws StepFailed when it does not hold. */
export function tour(stage: Stage): Step[] {
  let report: ClientReport = { received: '' };
  let apiReport: ApiReport = { received: '' };
  let entries: Entry[] = [];
  return [
    {
      name: 'apply',
      title: 'An operator declares the targets, who may be what, and policies',
      run: () => apply(stage),
    },
    {
      name: 'read-masked',
      title: 'A client without any credential reads the table; one column is masked',
      async run() {
        report = JSON.parse((await stage.runAs(stage.client, 'client.ts', [stage.targetSocketDir])).stdout);
        return showRows(stage, report);
      },
    },
    {
      name: 'denied-then-goes-on',
      title: 'Its DELETE is refused, and the same connection goes on',
      run: async () => showDenial(report),
    },
    { name: 'stranger', title: 'A process that nobody registered is refused', run: () => showStranger(stage) },
    {
      name: 'api',
      title: 'It asks an HTTP API without its key; one field is masked, a DELETE refused',
      async run() {
        apiReport = await askApi(stage);
        return showApi(stage, apiReport);
      },
    },
    {
      name: 'secrets-nowhere',
      title: 'Neither the password nor the key is in anything that the client could read',
      run: () => searchSecrets(stage, [report, apiReport]),
    },
    {
      name: 'ledger',
      title: 'One ledger holds each statement and request, with identity and policy',
      async run() {
        entries = (await countersign(stage, ['ledger', 'tail', '--lines', '100', '--json']))
          .split('\n')
          .filter((line) => line !== '')
          .map((line): Entry => JSON.parse(line));
        return showEntries(entries);
      },
    },
    { name: 'proof', title: 'One entry is proven, with nothing but the public key', run: () => prove(stage, entries) },
    {
      name: 'edit-caught',
      title: 'A copy of the ledger with one byte changed is caught, and the entry named',
      run: () => catchEdit(stage, entries),
    },
  ];
}

async function apply(stage: Stage): Promise<Shown> {
  const folder = writeResources(stage);
  await countersign(stage, ['target', 'secret', 'shop-password'], stage.password);
  await countersign(stage, ['target', 'secret', 'api-key'], stage.api.key);
  await countersign(stage, ['apply', '-f', folder, '--yes', '--json']);
  const policy = ['shop.cedar', 'api.cedar'].flatMap((file) => [
    ...readFileSync(join(folder, file), 'utf8').trimEnd().split('\n'),
    '',
  ]);
  await offered(stage);
  return {
    lines: [
      'The password went in over standard input and lies sealed in the gateway; the target names it as keystore:shop-password. So did the key of the API.',
      `The entry orders-service says: whoever runs as user ${stage.client.uid}${stage.client.node === process.execPath ? '' : ' with that program'} is spiffe://example.org/orders. The policies say:`,
      ...policy.slice(0, -1).map((line) => `  ${line}`),
    ],
    facts: { resources: folder },
  };
}

/** Waits until the agent offers the target and its first client is served: the change is pushed, so it is soon. */
async function offered(stage: Stage): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const { stdout } = await stage.countersign(['connect', '--print', '--json', 'shop']);
    const { stdout: api } = await stage.countersign(['connect', '--print', '--json', 'api']);
    if (stdout.includes('PGHOST') && api.includes('http.sock')) return;
  }
  throw new StepFailed('the agent did not offer the targets');
}

function showRows(stage: Stage, report: ClientReport): Shown {
  if (report.rows?.length !== 2)
    throw new StepFailed(`the client saw no rows: ${report.error ?? JSON.stringify(report)}`);
  if (report.rows.some(({ ssn }) => ssn !== '[redacted]')) throw new StepFailed('the column ssn came through');
  if (Buffer.from(report.received, 'base64').includes('123-45-6789'))
    throw new StepFailed('a masked value is among the bytes received');
  return {
    lines: [
      `node-postgres, user ${stage.client.uid}, host=${stage.targetSocketDir}, no password:`,
      ...report.rows.map((row) => `  ${row.name.padEnd(14)} ${row.ssn}  ${row.city}`),
    ],
    facts: { rows: report.rows },
  };
}

function showDenial({ denied, after }: ClientReport): Shown {
  if (denied?.code !== '42501')
    throw new StepFailed(`the DELETE was not refused as it should: ${JSON.stringify(denied)}`);
  if (after?.[0]?.count !== 2)
    throw new StepFailed(`the connection did not go on, or rows are gone: ${JSON.stringify(after)}`);
  return {
    lines: [
      `ERROR ${denied.code}: ${denied.message}`,
      `and then, on the same connection: ${after[0].count} customers, all still there`,
    ],
    facts: { denied, after: after[0] },
  };
}

async function showStranger(stage: Stage): Promise<Shown> {
  const { stdout } = await stage.runAs(stage.stranger, 'client.ts', [stage.targetSocketDir]);
  const report: ClientReport = JSON.parse(stdout);
  if (report.rows || !report.error?.includes('no identity issued'))
    throw new StepFailed(`the stranger was not refused: ${stdout}`);
  return { lines: [`user ${stage.stranger.uid}: ${report.error}`], facts: { error: report.error } };
}

async function searchSecrets(stage: Stage, reports: readonly { readonly received: string }[]): Promise<Shown> {
  const received = Buffer.concat(reports.map((report) => Buffer.from(report.received, 'base64')));
  let facts = { files: 0, processes: 0 };
  for (const secret of [stage.password, stage.api.key]) {
    if (received.includes(secret)) throw new StepFailed('a secret is among the bytes that the client received');
    const { stdout } = await stage.runAs(stage.client, 'search.ts', [stage.directory], secret);
    const { found, ...looked }: { files: number; processes: number; found: string[] } = JSON.parse(stdout);
    if (found.length > 0) throw new StepFailed(`a secret can be read in ${found.join(', ')}`);
    facts = looked;
  }
  const { files, processes } = facts;
  return {
    lines: [
      `searched as the client: ${received.length} bytes received, ${files} files, arguments and environment of ${processes} processes: not there`,
    ],
    facts: { bytes: received.length, ...facts },
  };
}

function showEntries(entries: readonly Entry[]): Shown {
  const ours = entries.filter(
    ({ actor, kind }) => actor === 'spiffe://example.org/orders' && ['intent', 'outcome', 'denial'].includes(kind),
  );
  const of = (kind: string) => ours.filter((entry) => entry.kind === kind);
  // Two statements and a request were allowed, one of each was refused.
  if (of('intent').length !== 3 || of('outcome').length !== 3 || of('denial').length !== 2)
    throw new StepFailed(`the ledger holds ${JSON.stringify(ours.map(({ kind }) => kind))}`);
  if (of('intent').some(({ detail }) => !detail.policies?.some((policy) => policy.endsWith('-without-ssn'))))
    throw new StepFailed('an entry does not name its policy');
  return {
    lines: ours.map(({ seq, kind, actor, action, detail }) => {
      const facts = [
        detail.policies?.length ? `by ${detail.policies.join(', ')}` : '',
        detail.items === undefined ? '' : `${detail.items} ${isHttp(action) ? 'items' : 'rows'}`,
        detail.code ? `${isHttp(action) ? 'status' : 'SQLSTATE'} ${detail.code}` : '',
      ];
      return `#${seq} ${kind.padEnd(7)} ${actor} ${action.replace('postgres:', '')} ${facts.filter((fact) => fact !== '').join(', ')}`;
    }),
    facts: { entries: ours.length },
  };
}

function isHttp(action: string): boolean {
  return action.startsWith('http:');
}

async function prove(stage: Stage, entries: readonly Entry[]): Promise<Shown> {
  const seq = denialOf(entries);
  const file = join(stage.directory, 'proof.json');
  for (let tries = 0; ; tries++) {
    // The checkpoint that covers the entry is signed within a second.
    const { code, stderr } = await stage.countersign(['ledger', 'prove', String(seq), '--out', file, '--json']);
    if (code === 0) break;
    if (tries > 20) throw new StepFailed(stderr);
  }
  const proven = await countersign(stage, [
    'ledger',
    'verify',
    '--proof',
    file,
    '--key',
    join(stage.directory, 'home/data/gateway/ledger.vkey'),
  ]);
  if (!proven.includes(`Proven: entry ${seq}`)) throw new StepFailed(proven);
  return { lines: proven.trimEnd().split('\n'), facts: { sequence: seq } };
}

async function catchEdit(stage: Stage, entries: readonly Entry[]): Promise<Shown> {
  const seq = denialOf(entries);
  const gateway = join(stage.directory, 'home/data/gateway');
  const key = join(gateway, 'ledger.vkey');
  const whole = await countersign(stage, ['ledger', 'verify']);
  const copy = join(stage.directory, 'copy');
  cpSync(join(gateway, 'ledger'), copy, { recursive: true, filter: (path) => !path.endsWith('lock') });
  edit(copy, '"kind":"denial"', '"kind":"intent"');
  const { code, stdout } = await stage.countersign(['ledger', 'verify', '--dir', copy, '--key', key]);
  if (code !== 1 || !new RegExp(`entry ${seq}\\b`).test(stdout))
    throw new StepFailed(`the edit was not caught: ${stdout}`);
  return {
    lines: [
      ...whole.trimEnd().split('\n'),
      'with "denial" made an "intent" in one entry of a copy:',
      ...stdout.trimEnd().split('\n'),
    ],
    facts: { sequence: seq },
  };
}

/** Changes a text in the first segment that holds it. */
function edit(folder: string, from: string, to: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const path = join(folder, name);
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch {
      continue; // A folder.
    }
    const at = bytes.indexOf(from);
    if (at < 0 || from.length !== to.length) continue;
    bytes.write(to, at);
    writeFileSync(path, bytes);
    return;
  }
  throw new StepFailed(`no segment holds ${from}`);
}

function denialOf(entries: readonly Entry[]): number {
  const entry = entries.find(({ kind, actor }) => kind === 'denial' && actor === 'spiffe://example.org/orders');
  if (!entry) throw new StepFailed('the ledger holds no denial');
  return entry.seq;
}

/** Runs a command that must succeed. */
async function countersign(stage: Stage, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await stage.countersign(args, input);
  if (code !== 0) throw new StepFailed(`countersign ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}
