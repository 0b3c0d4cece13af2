import { type LedgerEntry, objectIn } from '../../ledger/index.ts';
import type { LedgerValue } from '../../model/index.ts';

/** An event of the Open Cybersecurity Schema Framework. The names are the schema's own. */
export interface OcsfEvent {
  readonly class_uid: OcsfClass;
  readonly class_name: string;
  readonly category_uid: number;
  readonly activity_id: number;
  readonly activity_name: string;
  readonly type_uid: number;
  readonly severity_id: number;
  readonly severity: string;
  readonly status_id: number;
  readonly status: string;
  readonly status_code?: string;
  readonly status_detail?: string;
  /** Epoch milliseconds by the clock of the entry's writer. */
  readonly time: number;
  readonly message: string;
  readonly metadata: {
    readonly version: string;
    readonly uid: string;
    readonly log_name: string;
    readonly sequence: number;
    readonly event_code: string;
    readonly product: typeof PRODUCT & { readonly version: string };
  };
  readonly unmapped: { readonly countersign: LedgerValue };
  readonly [attribute: string]: unknown;
}

/** Where an entry stands in the record. */
export interface OcsfPlace {
  /** For good, and over all logs. */
  readonly id: string;
  /** The name of its log. */
  readonly origin: string;
  readonly position: number;
  /** Of the product. */
  readonly version: string;
}

type OcsfClass = keyof typeof CLASSES;

/**
 * An entry as an OCSF event: sessions as Authentication, what is done as API Activity, what is wrong with a ledger as Detection Finding, start and
 * stop as Application Lifecycle, and what is not known as Base Event. The entry itself stands in `unmapped`, without what is sealed in it.
 * Never throws: an entry may be of a newer version. @see https://schema.ocsf.io/1.2.0
 */
export function ocsfEvent(entry: LedgerEntry, { id, origin, position, version }: OcsfPlace): OcsfEvent {
  const { classUid, activity, severity = SEVERITY.informational, outcome = OUTCOME.unknown, ...own } = wordingOf(entry);
  const [class_name, category_uid] = CLASSES[classUid];
  const { code, reason } = entry.detail;
  return {
    ...{ class_uid: classUid, class_name, category_uid },
    ...{ activity_id: activity[0], activity_name: activity[1], type_uid: classUid * 100 + activity[0] },
    ...{ severity_id: severity[0], severity: severity[1], status_id: outcome[0], status: outcome[1] },
    ...(typeof code === 'string' ? { status_code: code } : {}),
    ...(typeof reason === 'string' ? { status_detail: reason } : {}),
    // A writer can say any time; one that no date can say would stop whoever reads it.
    time: Math.min(entry.wallMs ?? entry.timeMs, TIME_MS_MAX),
    message: messageOf(entry),
    metadata: {
      ...{
        version: OCSF_VERSION,
        uid: id,
        log_name: origin,
        sequence: position,
        event_code: entry.kind.slice(0, CODE_LENGTH_MAX).toWellFormed(),
      },
      product: { ...PRODUCT, version },
    },
    ...own.attributes,
    unmapped: { countersign: shown(entry) },
  };
}

interface Wording {
  readonly classUid: OcsfClass;
  readonly activity: readonly [number, string];
  readonly severity?: readonly [number, string];
  readonly outcome?: readonly [number, string];
  readonly attributes: Readonly<Record<string, unknown>>;
}

function wordingOf(entry: LedgerEntry): Wording {
  switch (entry.kind) {
    case 'session-open':
      return sessionWording(entry, [1, 'Logon'], OUTCOME.success);
    case 'session-close':
      return sessionWording(entry, [2, 'Logoff'], OUTCOME.success);
    case 'denial':
      // In place of a session that was not opened; of an operation else.
      return entry.operation === '' && entry.detail['door'] !== undefined
        ? { ...sessionWording(entry, [1, 'Logon'], OUTCOME.failure), severity: SEVERITY.medium }
        : { ...callWording(entry, OUTCOME.failure), severity: SEVERITY.medium };
    case 'hold':
    case 'intent':
      return callWording(entry, OUTCOME.unknown);
    case 'outcome':
      return callWording(entry, outcomeOf(entry.detail['status']));
    case 'admin':
      return callWording(entry, STEPS.get(entry.detail['step']) ?? OUTCOME.unknown);
    case 'ledger':
      return ledgerWording(entry);
    default:
      // Of a newer writer.
      return { classUid: 0, activity: OTHER, attributes: {} };
  }
}

function sessionWording(entry: LedgerEntry, activity: Wording['activity'], outcome: Wording['outcome']): Wording {
  return {
    ...{ classUid: 3002, activity },
    ...(outcome === undefined ? {} : { outcome }),
    attributes: {
      user: userOf(entry),
      ...{ session: { uid: entry.session }, service: { name: entry.target, uid: entry.target } },
      src_endpoint: endpointOf(entry),
    },
  };
}

function callWording(entry: LedgerEntry, outcome: readonly [number, string]): Wording {
  const { operation, session, target, action } = entry;
  const questions = Array.isArray(entry.detail['questions']) ? entry.detail['questions'].map(objectIn) : [];
  const resources = questions.slice(0, RESOURCES_MAX).flatMap(({ resource }) => {
    const { type, id } = objectIn(resource);
    return typeof id === 'string' ? [{ uid: id, name: id, ...(typeof type === 'string' ? { type } : {}) }] : [];
  });
  return {
    ...{ classUid: 6003, activity: activityOf(action), outcome },
    attributes: {
      actor: { user: userOf(entry), ...(session === '' ? {} : { session: { uid: session } }) },
      api: {
        operation: action,
        service: { name: target, uid: target },
        ...(operation === '' ? {} : { request: { uid: operation } }),
      },
      src_endpoint: endpointOf(entry),
      ...(resources.length === 0 ? {} : { resources }),
    },
  };
}

/** What a ledger says of itself, and what the record says of one. */
function ledgerWording(entry: LedgerEntry): Wording {
  const { action, target, detail } = entry;
  if (!action.startsWith('record:')) {
    const activity = LIFECYCLE.get(action) ?? OTHER;
    return { classUid: 6002, activity, outcome: OUTCOME.success, attributes: { app: { ...PRODUCT, uid: target } } };
  }
  const word = action.slice('record:'.length);
  const [isOver, isWrong] = [word === 'resolved' || word === 'accepted', ALARMS.has(word)];
  const about = typeof detail['alarm'] === 'string' ? detail['alarm'] : word;
  return {
    ...{ classUid: 2004, activity: isOver ? [3, 'Close'] : [1, 'Create'] },
    severity: isWrong ? SEVERITY.critical : SEVERITY.informational,
    outcome: isOver ? [4, 'Resolved'] : [1, 'New'],
    attributes: { finding_info: { uid: `${target}/${about}`, title: `${target}: ${word}` }, is_alert: isWrong },
  };
}

function userOf({ actor }: LedgerEntry) {
  const name = actor === '' ? 'unknown' : actor;
  return { uid: name, name };
}

/** Where the caller is; of what the entry does not say it, which service it is. */
function endpointOf({ actor, detail }: LedgerEntry) {
  const peer = typeof detail['peer'] === 'string' ? detail['peer'] : undefined;
  const [, bracketed, plain, port] = (peer && /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(peer)) || [];
  const ip = bracketed ?? plain;
  if (ip !== undefined) return { ip, port: Number(port) };
  return { svc_name: actor === '' ? 'unknown' : actor };
}

function outcomeOf(status: unknown): readonly [number, string] {
  switch (status) {
    case 'done':
    case 'suspended':
      return OUTCOME.success;
    case 'failed':
    case 'over-limit':
    case 'skipped':
      return OUTCOME.failure;
    default:
      return OUTCOME.unknown;
  }
}

function activityOf(action: string): readonly [number, string] {
  const verb = action.slice(action.lastIndexOf(':') + 1).toLowerCase();
  return ACTIVITIES.find(([verbs]) => verbs.has(verb))?.[1] ?? OTHER;
}

function messageOf({ kind, actor, action, target, detail }: LedgerEntry): string {
  const ended = [detail['status'], detail['reason'], detail['step']].filter((one) => typeof one === 'string');
  const text = `${kind}: ${actor} ${action} ${target}${ended.length === 0 ? '' : `: ${ended.join(', ')}`}`;
  return text.slice(0, MESSAGE_LENGTH_MAX).toWellFormed();
}

/** What is sealed is for whoever has the key of the gateway, and no matter of those who watch. */
function shown(entry: LedgerEntry): LedgerValue {
  const detail = Object.fromEntries(Object.entries(entry.detail).filter(([name]) => !SEALED.has(name)));
  // An entry is JSON as its writer wrote it.
  return { ...entry, detail } as unknown as LedgerValue;
}

const OCSF_VERSION = '1.2.0';
const PRODUCT = { name: 'Countersign', vendor_name: 'Countersign' } as const;
const CLASSES = {
  0: ['Base Event', 0],
  2004: ['Detection Finding', 2],
  3002: ['Authentication', 3],
  6002: ['Application Lifecycle', 6],
  6003: ['API Activity', 6],
} as const;
const OTHER = [99, 'Other'] as const;
const SEVERITY = { informational: [1, 'Informational'], medium: [3, 'Medium'], critical: [5, 'Critical'] } as const;
const OUTCOME = { unknown: [0, 'Unknown'], success: [1, 'Success'], failure: [2, 'Failure'] } as const;
const STEPS: ReadonlyMap<unknown, readonly [number, string]> = new Map<unknown, readonly [number, string]>([
  ['done', OUTCOME.success],
  ['failed', OUTCOME.failure],
]);
const LIFECYCLE: ReadonlyMap<string, readonly [number, string]> = new Map([
  ['start', [3, 'Start']],
  ['stop', [4, 'Stop']],
] as const);
const ACTIVITIES: readonly (readonly [ReadonlySet<string>, readonly [number, string]])[] = [
  [new Set(['create', 'insert', 'post', 'issue']), [1, 'Create']],
  [new Set(['select', 'read', 'get', 'head', 'options', 'list', 'search', 'show', 'follow']), [2, 'Read']],
  [new Set(['update', 'put', 'patch', 'apply', 'set']), [3, 'Update']],
  [new Set(['delete', 'truncate', 'drop', 'remove']), [4, 'Delete']],
];
const ALARMS: ReadonlySet<string> = new Set(['fork', 'rollback', 'gap', 'edited', 'key', 'sink-skipped']);
/** Fields of the detail with ciphertext. */
const SEALED: ReadonlySet<string> = new Set(['withheld']);
/** An operation names hundreds of things at worst; all of them stand in the entry. */
const RESOURCES_MAX = 20;
const MESSAGE_LENGTH_MAX = 1000;
const CODE_LENGTH_MAX = 64;
/** The end of the year 9999. */
const TIME_MS_MAX = 253_402_300_799_999;
