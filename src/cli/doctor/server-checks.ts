import { Agent, Bundle, Control, Entry } from '@countersign/sdk/contract';
import { createClockCheck } from '../../app/health/clock-check.ts';
import { clockIsSynchronised } from '../../app/health/machine-clock.ts';
import type { Config } from '../../config/index.ts';
import { type CallOptions, createRpcClient, type RpcClient } from '../../rpc/index.ts';
import { createPeerClock, createSilentLog, formatTime, messageOf } from '../../std/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';
import type { CliContext } from '../command.ts';
import { whyUnreached } from '../connections/unreached.ts';
import { answerOf, type GatewayAnswer } from '../declared/gateway-answers.ts';
import { type EntryNote, notesOnAttributes, notesOnOverlaps, notesOnSelectors } from '../entries/entry-notes.ts';
import { entriesAt } from '../entries/warn-of-entries.ts';
import type { Check } from './check.ts';

/**
 * Looks at the server by its operator socket: its clock, what it holds, its gateways and what they find wrong. `before` is what is known
 * already, and not said twice.
 */
export async function checkServer(
  context: Pick<CliContext, 'clock' | 'signal'>,
  config: Config,
  before: readonly Check[],
): Promise<Check[]> {
  const socket = config.server?.socket ?? '';
  const { clock, signal } = context;
  const what = 'operator socket';
  const peer = createPeerClock(clock);
  const connect = { unix: socket };
  const client = createRpcClient({ clock, log: createSilentLog(), connect, onServerTime: peer.says });
  const options = { signal, timeoutMs: PROBE_TIMEOUT_MS };
  try {
    const bundle = await client.unary(Bundle.method.getBundle, {}, options);
    // A refusal says what time it is there, as other answers do not.
    await client.unary(Entry.method.getEntry, { id: 'doctor-asks-for-none' }, options).catch(() => {});
    const found = `${socket}: ${bundle.x509Authorities.length} X.509 and ${bundle.jwtAuthorities.length} JWT authorities`;
    const madeMs = Math.min(...bundle.x509Authorities.map(({ asn1 }) => notBeforeMs(Buffer.from(asn1))));
    return [
      { what, state: 'good', found },
      ...createClockCheck({ peer, peerName: 'the server', synchronised: clockIsSynchronised })().map(
        ({ found, remedy = 'Set both clocks by NTP.' }): Check => ({
          what: 'server clock',
          state: 'wrong',
          found,
          remedy,
        }),
      ),
      ...(await checkContents(client, { config, before, madeMs }, options)),
    ];
  } catch (error) {
    const { code, remedy } = whyUnreached(error, { role: 'server', connect, option: 'server.socket' });
    // Nobody but operators can, and nothing is wrong with that.
    const state = code === 'EACCES' ? 'odd' : 'wrong';
    const found =
      code === 'EACCES' ? `${socket} is closed to this user (uid ${process.geteuid?.()})` : messageOf(error);
    return [{ what, state, found, remedy }];
  } finally {
    await client.close();
  }
}

async function checkContents(
  client: RpcClient,
  known: { readonly config: Config; readonly before: readonly Check[]; readonly madeMs: number },
  options: CallOptions,
): Promise<Check[]> {
  const nodes = (await client.unary(Agent.method.countAgents, {}, options)).count;
  const entries = (await entriesAt(client, options)) ?? [];
  const targets = (await client.unary(Control.method.listResources, { kind: 'Target' }, options)).resources.length;
  const { gateways } = await client.unary(Control.method.listGateways, {}, options);
  const connected = gateways.filter((gateway) => gateway.connected).map((gateway) => answerOf(gateway, 1n));
  // What is so on one machine says nothing of an estate of many.
  const isWhole = nodes <= 1 && known.config.agent !== undefined;
  const notes = [
    ...notesOnSelectors(entries),
    ...notesOnOverlaps(entries, entries),
    ...notesOnAttributes(entries, entries),
  ].filter(({ isOfMachine }) => isWhole || !isOfMachine);
  return [
    ...(nodes + targets + entries.length === 0 ? [emptiness(known.madeMs)] : []),
    ...checkEntries(notes),
    ...(targets === 0 && gateways.length === 0 ? [] : [checkGateways(connected, gateways.length)]),
    ...findingsOf(connected).filter(
      ({ what, found }) => !known.before.some((check) => check.what === what && check.found.startsWith(found)),
    ),
  ];
}

function emptiness(madeMs: number): Check {
  return {
    what: 'server contents',
    state: 'odd',
    found: `no node, no entry, no target; its authority was made ${formatTime(madeMs)}`,
    remedy:
      'Make a join token for the first node (`countersign node token`). If it is not new it has lost its data: stop it and bring back a backup (docs/guide/operations.md).',
  };
}

function checkEntries(notes: readonly EntryNote[]): Check[] {
  const shown = notes.slice(0, NOTES_MAX).map(({ found, remedy }): Check => {
    return { what: 'entries', state: 'odd', found, remedy };
  });
  const more = notes.length - shown.length;
  return more === 0 ? shown : [...shown, { what: 'entries', state: 'odd', found: `${more} more are odd in such ways` }];
}

function checkGateways(connected: readonly GatewayAnswer[], known: number): Check {
  const what = 'gateways';
  if (connected.length > 0) {
    const names = connected.slice(0, GATEWAYS_NAMED_MAX).map(({ address }) => address);
    const more = connected.length > names.length ? ` and ${connected.length - names.length} more` : '';
    return { what, state: 'good', found: `connected: ${names.join(', ')}${more}` };
  }
  const found = known === 0 ? 'none has ever connected' : `none of the ${known} that were here is connected`;
  const remedy =
    'Start one with `countersign gateway`; it needs an entry of its own (docs/guide/first-target.md), and its `doctor` says what it waits for.';
  return { what, state: 'wrong', found, remedy };
}

/** Of each gateway, but what several say once. */
function findingsOf(connected: readonly GatewayAnswer[]): Check[] {
  const checks = connected.flatMap(({ address, findings }) =>
    findings.map(({ severity, what, found, remedy }): Check => {
      const by = connected.length > 1 ? ` (gateway ${address})` : '';
      return { what, state: severity === 'warning' ? 'odd' : 'wrong', found: `${found}${by}`, remedy };
    }),
  );
  return checks.slice(0, FINDINGS_MAX);
}

function notBeforeMs(der: Buffer): number {
  return parseCertificate(der).notBeforeS * 1000;
}

const PROBE_TIMEOUT_MS = 3000;
const NOTES_MAX = 5;
const GATEWAYS_NAMED_MAX = 5;
const FINDINGS_MAX = 50;
