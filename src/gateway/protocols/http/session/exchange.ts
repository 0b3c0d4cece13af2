import type { Denial, Judged, Operation } from '../../../../model/index.ts';
import { judgedBy } from '../../../../model/index.ts';
import type { BodyLength, Field, RequestHead } from '../../../../wire/http1/index.ts';
import type { Running, Taken } from '../../../sessions/pipeline.ts';
import { isGrpc, type Meaning } from '../meaning/index.ts';
import type { OpenTarget } from '../target.ts';
import type { Place } from '../upstream/place.ts';
import type { Answer } from './answer.ts';

/**
 * One request and its answer. `reading`: its body is read, for policy asks about it; `deciding`: it waits for a connection, or for others to be
 * asked; `running`: it is the upstream's; `refused`: it was answered by the gateway, and what is left of its body goes nowhere; `tunnel`: both sides
 * have left HTTP.
 */
export interface Exchange {
  readonly head: RequestHead;
  /** It is a call of gRPC, by all that such a call says: only then is a refusal told in trailers, which others would take for a success. */
  readonly isGrpc: boolean;
  phase: 'reading' | 'deciding' | 'running' | 'refused' | 'tunnel';
  /** Undefined: it was not understood. */
  meaning: Meaning | undefined;
  /** Of its fields, those that may go on. */
  forwarded: readonly Field[];
  judged: Judged;
  taken: Taken | undefined;
  running: Running | undefined;
  answer: Answer | undefined;
  /** Its body, where that is read before it is decided. */
  body: Buffer[];
  bodyBytes: number;
  /** What a signature says of its body, where that is not its hash. */
  payload: string | undefined;
  /** Where it was sent last. */
  place: Place | undefined;
  /** Of the request as it was sent last. */
  signature: string | undefined;
  /** Bytes of its body that went on. */
  passed: number;
  /** Bytes that came back behind its answer, where that left HTTP. */
  shown: number;
  /** All of it has come. */
  isRead: boolean;
  /** All of its answer was handed on. */
  isAnswered: boolean;
  /** The connection upstream can be used again behind it. */
  keepsLink: boolean;
  /** The client was told to go on. */
  isContinued: boolean;
  /** Nothing may come behind its answer. */
  closes: boolean;
  /** Makes what is to be sent, with the credential of the moment; undefined once that is on its way. */
  unsent: RequestMaker | undefined;
  /** What went over a connection that had gone, to be sent again: only of requests that may be, and have no body. */
  again: RequestMaker | undefined;
}

/** The bytes of a request, as far as they are known before it is sent. */
export type RequestMaker = () => readonly Buffer[];

export function newExchange(head: RequestHead): Exchange {
  return {
    head,
    isGrpc: head.method === 'POST' && head.acceptsTrailers && isGrpc(head.fields),
    phase: 'deciding',
    meaning: undefined,
    forwarded: [],
    judged: UNJUDGED,
    taken: undefined,
    running: undefined,
    answer: undefined,
    body: [],
    bodyBytes: 0,
    payload: undefined,
    place: undefined,
    signature: undefined,
    passed: 0,
    shown: 0,
    isRead: head.body.kind === 'none',
    isAnswered: false,
    keepsLink: false,
    isContinued: false,
    closes: !head.keepAlive,
    unsent: undefined,
    again: undefined,
  };
}

/** Of its body, as far as they are known. */
export function bytesOf({ head, bodyBytes }: Exchange): number {
  return head.body.kind === 'length' ? head.body.bytes : bodyBytes;
}

/** It can be sent anew over another connection where the old one had gone: nothing is done twice by that. */
export function mayGoAgain(exchange: Exchange | undefined): boolean {
  if (exchange === undefined || !exchange.isRead || exchange.bodyBytes > 0) return false;
  return SAFE.has(exchange.head.method) && exchange.head.upgrade === undefined;
}

/** Towards the upstream: what was read whole has a length. */
export function framingOf({ head, isRead, body, bodyBytes }: Exchange): BodyLength {
  if (isRead && body.length > 0) return { kind: 'length', bytes: bodyBytes };
  return head.body;
}

/** Where it was sent, of a target that has several upstreams. */
export function sentTo({ place }: Exchange, { upstreams }: Pick<OpenTarget, 'upstreams'>): Operation['detail'] {
  return place === undefined || upstreams.places.length < 2 ? {} : { upstream: place.authority };
}

/** As the ledger has it before it happens. */
export function operationOf({ head, judged, body }: Exchange, meaning: Meaning): Operation {
  const isFull = judged.asked.some(({ decision }) => decision.allow && decision.obligations.record === 'full');
  return {
    action: meaning.action,
    judged,
    changes: meaning.changes,
    shape: meaning.shape,
    content: { text: textOf(head), values: body.length === 0 ? [] : [Buffer.concat(body)], formats: [] },
    detail: { ...detailOf(meaning), ...(isFull ? { request: textOf(head).slice(0, TEXT_MAX) } : {}) },
  };
}

/** What is recorded of a refusal. */
export function denialOf(
  { head, judged, meaning }: Exchange,
  why: Pick<Denial, 'reason' | 'policies'> & { readonly status: number; readonly limit?: Denial['limit'] },
): Denial {
  return {
    action: meaning?.action ?? ACTION_UNKNOWN,
    ...{ judged, reason: why.reason, policies: why.policies, code: String(why.status), limit: why.limit },
    shape: meaning?.shape,
    content: { text: textOf(head), values: [], formats: [] },
    detail: meaning === undefined ? {} : detailOf(meaning),
  };
}

/** Of bytes that are no request. */
export function malformedDenial(status: number, judged: Judged): Denial {
  return {
    ...{ action: ACTION_UNKNOWN, judged, reason: 'malformed', policies: [], code: String(status) },
    ...{ shape: undefined, content: undefined, detail: {} },
  };
}

function detailOf({ route }: Meaning): Operation['detail'] {
  return route === undefined ? {} : { route: route.name };
}

function textOf({ method, target }: RequestHead): string {
  return `${method} ${target}`;
}

/** @see RFC 9110 §9.2.1 */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const UNJUDGED = judgedBy(undefined, []);
const ACTION_UNKNOWN = 'http:request';
/** An entry stays small, whatever was asked. */
const TEXT_MAX = 8_192;

/** Stands for what could not be read. */
export const noHead: RequestHead = {
  ...{ method: 'GET', target: '/', version: '1.1', host: '', fields: [], body: { kind: 'none' }, keepAlive: false },
  ...{ expectsContinue: false, upgrade: undefined, acceptsTrailers: false, headBytes: 0 },
};
/** So much of a refused request is read and dropped, so that its connection can be used again. */
export const DISCARDED_BYTES_MAX = 1024 * 1024;
