import type { Duplex } from 'node:stream';
import { abortError } from '../../../../std/index.ts';
import { type ErrorText, PostgresWireError, readStartupPacket } from '../../../../wire/postgres/index.ts';
import type { PostgresConfig } from '../config.ts';
import {
  encodingHint,
  encodingNamed,
  holdsAnyValue,
  isServedEncoding,
  parsePath,
  type SearchPath,
  startSetting,
} from '../sql/index.ts';

/** What a client wants, once encryption requests are answered. */
export type ClientRequest =
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }
  | {
      readonly kind: 'startup';
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
      /** Bytes that came behind the packet. */
      readonly rest: Buffer;
    };

/**
 * Reads a client's first packets on a connection that is encrypted already (or local), answering requests for encryption with `N`.
 * Undefined when the client went away. The stream is left paused.
 * @throws PostgresWireError ERR_PG_STARTUP; the abort error
 */
export function readClientRequest(client: Duplex, signal: AbortSignal): Promise<ClientRequest | undefined> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const asked = new Set<string>();
    const finish = (act: () => void) => {
      client.pause();
      client.off('data', onData).off('end', onGone).off('close', onGone);
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const onAbort = () => finish(() => reject(abortError(signal)));
    const onGone = () => finish(() => resolve(undefined));
    const onData = (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      if (bytes.subarray(0, 4).equals(GOODBYE)) return onGone();
      try {
        for (let read = readStartupPacket(bytes); read !== undefined; read = readStartupPacket(bytes)) {
          const { packet } = read;
          const rest = bytes.subarray(read.bytes);
          if (packet.kind === 'cancel') return finish(() => resolve(packet));
          if (packet.kind === 'startup') return finish(() => resolve({ ...packet, rest }));
          if (asked.has(packet.kind) || rest.length > 0) {
            throw new PostgresWireError(
              'ERR_PG_STARTUP',
              'encryption was asked for twice, or more was sent before the answer',
            );
          }
          asked.add(packet.kind);
          bytes = rest;
          client.write('N');
        }
      } catch (error) {
        finish(() => reject(error));
      }
    };
    if (signal.aborted) return reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    client.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}

/** What the gateway asks of the target in the client's name. */
export interface SessionStart {
  readonly database: string;
  /** Start-up parameters for the target, without the user. */
  readonly parameters: readonly (readonly [string, string])[];
  /** Minor protocol version spoken with the client. */
  readonly minor: number;
  /** The search path asked for; undefined = the login's own. */
  readonly searchPath: SearchPath;
  /** Settings that policy has to allow. */
  readonly asked: readonly string[];
  /** Of the client's texts, by PostgreSQL's own name. */
  readonly encoding: string;
  /** To be sent before anything else when the client asked for what is not spoken here. */
  readonly negotiate: readonly string[] | undefined;
}

/** Decides what of a start-up packet is taken over: an answer is either a start or the error for the client. */
export function admitStartup(
  request: { readonly minor: number; readonly parameters: ReadonlyMap<string, string> },
  target: { readonly name: string; readonly config: PostgresConfig; readonly mayBeMasked: boolean },
): SessionStart | { readonly error: ErrorText } {
  const { config } = target;
  const settings = new Map<string, string>();
  const unknown: string[] = [];
  for (const [name, value] of request.parameters) {
    if (name === 'user' || name === 'database') continue;
    if (name.startsWith('_pq_.')) {
      unknown.push(name);
    } else if (name === 'replication') {
      if (!FALSE_WORDS.has(value.toLowerCase())) return refuse('0A000', 'replication connections are not served', '');
    } else if (name === 'options') {
      const parsed = parseOptions(value);
      if (parsed === undefined) return refuse('0A000', 'start-up options other than -c name=value are not served', '');
      for (const [setting, text] of parsed) settings.set(setting.toLowerCase(), text);
    } else {
      settings.set(name.toLowerCase(), value);
    }
  }
  const asked: string[] = [];
  for (const [name, value] of settings) {
    const problem = checkStart(name, value, target);
    if (problem !== undefined) return problem;
    if (!fixedSettings.has(name) && startOf(name, value, target) === 'asked') asked.push(name);
  }
  if (!request.parameters.has('user')) return refuse('28000', 'no user name in the start-up packet', '');
  const database = chooseDatabase(request.parameters, target);
  if (database === undefined) {
    return refuse(
      '3D000',
      `database ${JSON.stringify(request.parameters.get('database') ?? '')} is not served by target ${target.name}`,
      `Leave the database out to get ${config.database}, or have it added to the target's databases.`,
    );
  }
  const path = settings.get('search_path');
  const asksFor = settings.get('client_encoding') ?? DEFAULT_ENCODING;
  const encoding = encodingNamed(asksFor) ?? DEFAULT_ENCODING;
  settings.set('client_encoding', asksFor === OLD_UTF8 ? OLD_UTF8 : encoding);
  settings.set('standard_conforming_strings', 'on');
  const minor = request.minor >= MINOR_NEWEST ? MINOR_NEWEST : 0;
  return {
    database,
    parameters: [['database', database], ...settings],
    minor,
    searchPath: path === undefined ? undefined : parsePath(path),
    asked,
    encoding,
    negotiate: minor !== request.minor || unknown.length > 0 ? unknown : undefined,
  };
}

/** Splits `-c a=b --c-d=e`; a backslash takes the next character as it is. Undefined when there is anything else in it. */
function parseOptions(text: string): [string, string][] | undefined {
  const words: string[] = [];
  let word = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? '';
    if (character === '\\') {
      word += text[++i] ?? '';
    } else if (/\s/.test(character)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      word += character;
    }
  }
  if (word !== '') words.push(word);
  const settings: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    const current = words[i] ?? '';
    const long = current.startsWith('--');
    const assignment = long ? current.slice(2) : current === '-c' ? (words[++i] ?? '') : current.slice(2);
    if (!long && !current.startsWith('-c')) return undefined;
    const equals = assignment.indexOf('=');
    if (equals < 1) return undefined;
    const name = assignment.slice(0, equals);
    settings.push([long ? name.replaceAll('-', '_') : name, assignment.slice(equals + 1)]);
  }
  return settings;
}

/** What these may be is decided here, whatever policy says of settings. */
const fixedSettings: ReadonlySet<string> = new Set(['client_encoding', 'standard_conforming_strings']);

type StartRules = { readonly config: PostgresConfig; readonly mayBeMasked: boolean };

function startOf(name: string, value: string, { config, mayBeMasked }: StartRules): ReturnType<typeof startSetting> {
  return startSetting(name, value, { customSettings: new Set(config.customSettings), mayBeMasked });
}

function checkStart(name: string, value: string, rules: StartRules): { error: ErrorText } | undefined {
  if (name === 'client_encoding') {
    const encoding = encodingNamed(value) ?? '';
    if (!isServedEncoding(encoding)) return refuse('0A000', `client_encoding ${value} is not served`, encodingHint);
    // Of values that the server can't write in it, an error would tell.
    if (!rules.mayBeMasked || holdsAnyValue(encoding)) return undefined;
    return refuse('42501', `client_encoding ${value} is not served while columns are masked for you`, encodingHint);
  }
  if (name === 'standard_conforming_strings' && !TRUE_WORDS.has(value.toLowerCase()))
    return refuse('0A000', 'standard_conforming_strings must be on', 'Leave the setting out of the connection.');
  if (fixedSettings.has(name) || startOf(name, value, rules) !== 'refused') return undefined;
  return refuse(
    '42501',
    `setting ${JSON.stringify(name)} can not be given that value at start-up through the gateway`,
    'Leave it out of the connection string or options.',
  );
}

/** libpq sends its user name as database when none was named, so that name alone asks for nothing. */
function chooseDatabase(
  parameters: ReadonlyMap<string, string>,
  target: { readonly name: string; readonly config: PostgresConfig },
): string | undefined {
  const { config } = target;
  const wanted = parameters.get('database') ?? '';
  if (wanted === config.database || config.databases.includes(wanted)) return wanted;
  return wanted === '' || wanted === target.name || wanted === parameters.get('user') ? config.database : undefined;
}

function refuse(sqlstate: string, message: string, hint: string): { error: ErrorText } {
  return { error: { severity: 'FATAL', sqlstate, message, ...(hint === '' ? {} : { hint }) } };
}

/** How a Terminate begins, by a client that gives up before it has said anything: no start-up packet is that long. */
const GOODBYE = Buffer.from([0x58, 0, 0, 0]);
/** Newest minor version of protocol 3 spoken with clients. */
const MINOR_NEWEST = 2;
/** What the server shows as it was asked for; every other spelling it shows as its own. */
const OLD_UTF8 = 'UNICODE';
/** Of a client that names none: a database's own default may be any. */
const DEFAULT_ENCODING = 'UTF8';
const FALSE_WORDS: ReadonlySet<string> = new Set(['', 'false', 'off', 'no', '0', 'f', 'n']);
const TRUE_WORDS: ReadonlySet<string> = new Set(['true', 'on', 'yes', '1', 't', 'y']);
