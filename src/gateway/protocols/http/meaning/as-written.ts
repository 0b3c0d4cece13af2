import { isIP } from 'node:net';
import { messageOf } from '../../../../std/index.ts';
import type { Field } from '../../../../wire/http1/index.ts';
import { type JsonValue, readStrictJson } from '../../../../wire/json/index.ts';
import type { AskedQuestions } from '../../../protocol.ts';
import { checkConfig, parseConfig } from '../config.ts';
import { forwardedFields } from './fields.ts';
import { createMeaning, type Meaning, type MeantHead } from './meaning.ts';
import { isRefusal, type MeaningRefusal } from './refusal.ts';

/**
 * The questions of a request as a person writes it: `GET /v1/customers/7?expand=x`, below it fields (`X-Tenant: a`), and below these or an
 * empty line a JSON body.
 */
export function askedAsWritten(
  command: string,
  { name, config }: { readonly name: string; readonly config: unknown },
): AskedQuestions {
  const [problem] = checkConfig(config);
  if (problem !== undefined) return { ok: false, why: `the config of ${name} is not right: ${problem}` };
  const checked = parseConfig(config);
  const written = parseCommand(command);
  if (typeof written === 'string') return { ok: false, why: written };
  const { head, body, isHostWritten } = written;
  const meanings = createMeaning(name, checked);
  const host = isHostWritten ? head.host : (checked.hosts?.[0] ?? new URL(checked.url).hostname);
  const first = meanings.of({ ...head, host });
  if (isRefusal(first)) return { ok: false, why: whyOf(first) };
  const fields = forwardedFields(head, checked);
  if (isRefusal(fields)) return { ok: false, why: whyOf(fields) };
  const meaning = meanings.withBody(first, body);
  if (isRefusal(meaning)) return { ok: false, why: whyOf(meaning) };
  const { action, resource, context } = meaning;
  return {
    ok: true,
    questions: [
      { action: 'http:connect', resource: meanings.place, context: {} },
      { action, resource, context },
    ],
    notes: [
      ...(isHostWritten ? [] : [`its host is taken for ${host}`]),
      ...(meaning.route === undefined ? ['no route takes it: policy is asked about the whole target'] : []),
      ...(meaning.readsBody && meaning.changes && body === undefined
        ? ['it has no body here: the values that its route reads of one are not there']
        : []),
    ],
    refusedUnder: ({ decide }) => {
      const decision = decide(action, resource, context);
      return refusedForMasks(meaning, decision.allow && decision.obligations.masks.length > 0);
    },
  };
}

/** Why a request is refused though policy allows it, with a mask: undefined when it is not. */
export function refusedForMasks({ action }: Pick<Meaning, 'action'>, isMasked: boolean): string | undefined {
  if (!isMasked || action !== 'http:upgrade') return undefined;
  return 'fields are masked, and nobody looks into the messages of a WebSocket';
}

interface Written {
  readonly head: Omit<MeantHead, 'host'> & { readonly host: string };
  readonly isHostWritten: boolean;
  readonly body: JsonValue | undefined;
}

function parseCommand(command: string): Written | string {
  const lines = command.trim().split(/\r?\n/);
  const first = REQUEST_LINE.exec(lines[0]?.trim() ?? '');
  if (first === null) return 'a request begins with its method and path: GET /v1/customers/7';
  const [, method = '', address = ''] = first;
  const absolute = /^https?:\/\/([^/?#]+)(.*)$/i.exec(address);
  const fields: Field[] = [];
  let at = 1;
  for (; at < lines.length; at++) {
    const [, name, value = ''] = FIELD_LINE.exec(lines[at] ?? '') ?? [];
    if (name === undefined) break;
    fields.push({ name: name.toLowerCase(), value: value.trim() });
  }
  const rest = lines.slice(at).join('\n').trim();
  let body: JsonValue | undefined;
  try {
    if (rest !== '') body = readStrictJson(Buffer.from(rest));
  } catch (error) {
    return `what stands below the request and its fields is no JSON that can be read: ${messageOf(error)}`;
  }
  const fieldValue = (name: string) => fields.find((field) => field.name === name)?.value.toLowerCase();
  const host = fieldValue('host') ?? absolute?.[1]?.toLowerCase();
  if (host !== undefined && !isHost(host)) return 'its host is no name or address';
  const target =
    absolute === null ? address : absolute[2]?.startsWith('/') === true ? absolute[2] : `/${absolute[2] ?? ''}`;
  const kept = fields.filter(
    (field) => field.name !== 'host' && field.name !== 'upgrade' && field.name !== 'connection',
  );
  return {
    head: { method, target, host: host ?? '', fields: kept, upgrade: fieldValue('upgrade') },
    ...{ isHostWritten: host !== undefined, body },
  };
}

function isHost(text: string): boolean {
  const name = text.replace(/:\d{1,5}$/, '');
  return /^[a-z0-9._-]{1,255}$/.test(name) || (name.startsWith('[') && isIP(name.slice(1, -1)) === 6);
}

function whyOf({ message, hint }: MeaningRefusal): string {
  return `${message}; ${hint}`;
}

const REQUEST_LINE = /^(\S+)[ \t]+(\S+)(?:[ \t]+HTTP\/1\.[01])?$/;
const FIELD_LINE = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)$/;
