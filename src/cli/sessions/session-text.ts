import type {
  LiveSession,
  SessionOperation,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { inOneLine } from '../../model/index.ts';
import { formatDurationMs, formatTime } from '../../std/index.ts';
import { formatFields, formatTable, wrap } from '../terminal/table.ts';

/** A session as `--json` shows it. What nobody has told is left out. */
export function sessionValue(session: LiveSession, nowMs: number) {
  const { id, gatewaySpiffeId, gatewayAddress, identity, target, door, pid, uid, executable, current, last } = session;
  const told = Object.entries({
    ...{ peer: session.peer, node: session.node, application: session.application, driver: session.driver },
  }).filter(([, text]) => text !== '');
  return {
    ...{ id, gatewaySpiffeId, gatewayAddress, identity, target, door },
    ...Object.fromEntries(told),
    ...(pid === 0 ? {} : { process: { pid, uid, executable } }),
    ...{ sinceMs: sinceMs(session, nowMs), ageMs: Number(session.ageMs) },
    ...(current === undefined ? {} : { current: operationValue(current) }),
    ...(last === undefined ? {} : { last: operationValue(last) }),
    ...{ operations: Number(session.operations), denials: Number(session.denials), items: Number(session.items) },
    ...{ bytesIn: Number(session.bytesIn), bytesOut: Number(session.bytesOut) },
    ...{ masks: session.masks, masksLeftOut: session.masksLeftOut },
  };
}

/** Each session for a person: a line that says whose it is, and some below it. */
export function formatSessions(sessions: readonly LiveSession[], nowMs: number, columns: number): string[] {
  const short = shortIds(sessions);
  return sessions.map((session) => {
    const { identity, target, gatewayAddress, door, masks } = session;
    const from = processText(session);
    const parts = [
      `at ${gatewayAddress}, by ${door === 'agent' ? 'its agent' : 'the direct door'}${from === '' ? '' : `: ${from}`}`,
      ...programText(session),
      ...(session.current === undefined ? [] : [`now ${operationText(session.current, SHAPE_SHOWN)}`]),
      ...(session.last === undefined ? [] : [`last ${operationText(session.last, SHAPE_SHOWN)}`]),
      countsText(session),
      ...(masks.length === 0 ? [] : [`masks ${masksText(session)}`]),
    ];
    const head = `${short.get(session)} ${target} since ${sinceText(session, nowMs)} ${identity}`;
    return [
      wrap(inOneLine(head, LINE_MAX), { columns, indent: 4, first: 0 }),
      ...parts.map((part) => `    ${wrap(inOneLine(part, LINE_MAX), { columns, indent: 6, first: 4 })}`),
    ].join('\n');
  });
}

/** One line for each session, as far as that has room. */
export function formatSessionRows(sessions: readonly LiveSession[], nowMs: number, columns: number): string {
  const short = shortIds(sessions);
  const rows = sessions.map((session) => [
    ...[short.get(session) ?? session.id, formatTime(sinceMs(session, nowMs)), session.target],
    ...[session.gatewayAddress, session.identity],
  ]);
  return formatTable(['session', 'since', 'target', 'gateway', 'identity'], rows, columns);
}

/** All that is known of one session. */
export function formatSession(session: LiveSession, nowMs: number, columns: number): string {
  const { id, gatewaySpiffeId, gatewayAddress, identity, target, door, peer, node, pid, uid, executable } = session;
  return formatFields(
    [
      ['session', id],
      ['identity', identity],
      ['target', target],
      ['gateway', `${gatewayAddress} (${gatewaySpiffeId})`],
      ['door', door],
      ['peer', peer || '-'],
      ['node', node || '-'],
      ['process', pid === 0 ? '-' : `${pid} of uid ${uid}`],
      ['executable', executable || '-'],
      ['application', session.application || '-'],
      ['driver', session.driver || '-'],
      ['since', sinceText(session, nowMs)],
      ['now', session.current === undefined ? '-' : operationText(session.current, LINE_MAX)],
      ['last', session.last === undefined ? '-' : operationText(session.last, LINE_MAX)],
      ['counts', countsText(session)],
      ['masks', session.masks.length === 0 ? '-' : masksText(session)],
    ],
    columns,
  );
}

/** The beginnings of their ids by which they are told apart among each other. */
function shortIds(sessions: readonly LiveSession[]): ReadonlyMap<LiveSession, string> {
  const counts = new Map<string, number>();
  for (const { id } of sessions) counts.set(id.slice(0, SHORT), (counts.get(id.slice(0, SHORT)) ?? 0) + 1);
  return new Map(
    sessions.map((session) => {
      const short = session.id.slice(0, SHORT);
      return [session, counts.get(short) === 1 ? short : session.id];
    }),
  );
}

/** By the clock of whoever asks: gateways say how long it has run. */
function sinceMs({ ageMs }: LiveSession, nowMs: number): number {
  return Math.max(0, nowMs - Number(ageMs));
}

function sinceText(session: LiveSession, nowMs: number): string {
  return `${formatTime(sinceMs(session, nowMs))} (${durationText(session.ageMs)})`;
}

function processText({ pid, uid, executable, node }: LiveSession): string {
  const process = pid === 0 ? [] : [`process ${pid} of uid ${uid}`];
  return [...process, executable, node === '' ? '' : `on ${node}`].filter((part) => part !== '').join(', ');
}

/** As the client calls itself. */
function programText({ application, driver }: LiveSession): string[] {
  const told = [
    ...(application === '' ? [] : [`application ${application}`]),
    ...(driver === '' ? [] : [`driver ${driver}`]),
  ];
  return told.length === 0 ? [] : [told.join(', ')];
}

function countsText({ operations, denials, items, bytesIn, bytesOut }: LiveSession): string {
  return `${operations} operations, ${denials} refused, ${items} items, ${bytesIn} bytes in, ${bytesOut} bytes out`;
}

function masksText({ masks, masksLeftOut }: LiveSession): string {
  return [...masks, ...(masksLeftOut > 0 ? [`and ${masksLeftOut} more`] : [])].join(', ');
}

function operationText({ action, shape, durationMs }: SessionOperation, shapeMax: number): string {
  return `${action}, ${durationText(durationMs)}${shape === '' ? '' : `: ${inOneLine(shape, shapeMax)}`}`;
}

function operationValue({ action, shape, durationMs }: SessionOperation) {
  return { action, shape, durationMs: Number(durationMs) };
}

/** Of what takes long, to the second. */
function durationText(durationMs: bigint): string {
  const ms = Number(durationMs);
  return formatDurationMs(ms < 1000 ? ms : Math.round(ms / 1000) * 1000);
}

const SHORT = 8;
/** Of an operation's shape in a list. */
const SHAPE_SHOWN = 60;
/** No part of a session is longer. */
const LINE_MAX = 8_192;
